"""The examples are covered: the doctor names none of their views, before any request."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from flask import Flask

from melody_logs.coverage import examine
from tests.docs import ROOT
from tests.hosts import close_host


@pytest.mark.parametrize("name", ["flask_login_app", "jwt_api", "oidc_client", "plain_sessions"])
def test_no_view_of_an_example_leaves_no_trace(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app: Flask = runpy.run_path(str(ROOT / "examples" / f"{name}.py"))["app"]
    with app.app_context():
        told = [remark.text for remark in examine(app).remarks if remark.name == "Sign-in views"]
    assert told == []
    close_host(app)
