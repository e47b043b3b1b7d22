"""The quick start works as it is written: its app, its commands, the rows that it promises."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from melody_logs.state import state_of
from tests.docs import commands_in, fenced, page
from tests.hosts import close_host


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The app of the quick start, saved and loaded as a new user does it."""
    (code,) = fenced(page("quickstart.md"), "python")
    (tmp_path / "host.py").write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("host", tmp_path / "host.py")
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    # Flask finds the instance folder by it.
    monkeypatch.setitem(sys.modules, "host", module)
    spec.loader.exec_module(module)
    app: Flask = module.create_app()
    yield app
    close_host(app)


def test_quick_start_leads_to_rows_without_the_link(host: Flask) -> None:
    runner = host.test_cli_runner()
    for words in commands_in(page("quickstart.md"), "flask melody-logs"):
        done = runner.invoke(args=["melody-logs", *words])
        assert done.exit_code == 0, f"{shlex.join(words)}: {done.output}"
    client = host.test_client()
    assert client.get("/admin/logs/").status_code == 403
    client.post("/login", data={"email": "ann@example.org", "password": "wrong"})
    assert (
        client.post("/login", data={"email": "ann@example.org", "password": "open sesame"}).location == "/admin/logs/"
    )
    client.get("/mail")
    state_of(host).drain.run_once()
    overview = client.get("/admin/logs/").text
    assert "2 sign-ins" in overview and "1 email" in overview
    body = client.get("/admin/logs/email/1/body").text
    assert body == "Reset here: http://127.0.0.1:5000/reset/[redacted]"


def test_tables_lie_beside_the_hosts_own_database(host: Flask, tmp_path: Path) -> None:
    host.test_cli_runner().invoke(args=["melody-logs", "db", "upgrade"])
    assert [path.name for path in (tmp_path / "instance").glob("*.db")] == ["host-logs.db"]
