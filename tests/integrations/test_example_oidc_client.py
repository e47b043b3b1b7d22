"""examples/oidc_client.py against a real provider, used through HTTP as a new user would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask

from tests.integrations.example_apps import load_example, read_rows, written_in
from tests.integrations.openid_provider import CLIENT, Provider
from tests.servers.processes import free_port


def settings(provider_url: str) -> dict[str, str]:
    """Return what the example reads from the environment."""
    return {
        "PROVIDER_SERVER_METADATA_URL": f"{provider_url}/.well-known/openid-configuration",
        "PROVIDER_CLIENT_ID": CLIENT[0],
        "PROVIDER_CLIENT_SECRET": CLIENT[1],
    }


def test_every_attempt_is_one_row_without_a_secret(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    apps: list[Flask],
    serve: Any,
    provider: Provider,
    provider_url: str,
) -> None:
    app = load_example("oidc_client", tmp_path, monkeypatch, **settings(provider_url))
    apps.append(app)
    statuses = []
    with httpx.Client(base_url=serve(app), follow_redirects=True) as client:
        for provider.answer in ("access_denied", "token_error", "token_page", "forged"):
            statuses.append(client.get("/login").status_code)
        provider.answer, provider.email = "right", "nobody@example.org"
        statuses.append(client.get("/login").status_code)
        provider.email = "ann@example.org"
        assert "Hello ann@example.org" in client.get("/login").text
        assert client.get("/admin/logs/").status_code == 200
        client.post("/logout")
    assert statuses == [400, 400, 502, 400, 403]
    assert [(row.event, row.outcome, row.reason, row.identity, row.user_id) for row in read_rows(app)] == [
        ("sign_in", "failure", "access_denied", None, None),
        ("sign_in", "failure", "provider_error", None, None),
        ("sign_in", "failure", "provider_error", None, None),
        ("sign_in", "failure", "invalid_id_token", None, None),
        ("sign_in", "failure", "unknown_account", "nobody@example.org", None),
        ("sign_in", "success", None, "ann@example.org", "ann@example.org"),
        ("sign_out", "success", None, None, "ann@example.org"),
    ]
    assert {row.method for row in read_rows(app)[:-1]} == {"oauth:provider"}
    written = written_in(tmp_path)
    for secret in (*provider.given, CLIENT[1]):
        assert secret.encode() not in written


def test_provider_that_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apps: list[Flask], serve: Any) -> None:
    app = load_example("oidc_client", tmp_path, monkeypatch, **settings(f"http://127.0.0.1:{free_port()}"))
    apps.append(app)
    answer = httpx.get(f"{serve(app)}/login")
    assert (answer.status_code, "does not answer" in answer.text) == (502, True)
    assert [(row.outcome, row.reason) for row in read_rows(app)] == [("failure", "provider_error")]
