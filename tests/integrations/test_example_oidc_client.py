"""examples/oidc_client.py against a real provider, used through HTTP as a new user would."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from tests.integrations.examples import Example
from tests.integrations.openid_provider import CLIENT, Provider
from tests.servers.processes import free_port


def set_provider(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Set what the example reads from the environment."""
    monkeypatch.setenv("FLASK_PROVIDER_SERVER_METADATA_URL", f"{url}/.well-known/openid-configuration")
    monkeypatch.setenv("FLASK_PROVIDER_CLIENT_ID", CLIENT[0])
    monkeypatch.setenv("FLASK_PROVIDER_CLIENT_SECRET", CLIENT[1])


def test_every_attempt_is_one_row_without_a_secret(
    monkeypatch: pytest.MonkeyPatch, serve: Any, provider: Provider, provider_url: str
) -> None:
    set_provider(monkeypatch, provider_url)
    statuses = []
    with closing(Example("oidc_client", serve)) as example:
        client = example.visitor
        for provider.answer in ("access_denied", "token_error", "token_page", "forged"):
            statuses.append(client.get("/login").status_code)
        provider.answer, provider.email = "right", "nobody@example.org"
        statuses.append(client.get("/login").status_code)
        provider.email = "ann@example.org"
        assert "Hello ann@example.org" in client.get("/login").text
        assert client.get("/admin/logs/").status_code == 200
        client.post("/logout")
        assert statuses == [400, 400, 502, 400, 403]
        assert [(row.event, row.outcome, row.reason, row.identity, row.user_id) for row in example.rows("sign-in")] == [
            ("sign_in", "failure", "access_denied", None, None),
            ("sign_in", "failure", "provider_error", None, None),
            ("sign_in", "failure", "provider_error", None, None),
            ("sign_in", "failure", "invalid_id_token", None, None),
            ("sign_in", "failure", "unknown_account", "nobody@example.org", None),
            ("sign_in", "success", None, "ann@example.org", "ann@example.org"),
            ("sign_out", "success", None, None, "ann@example.org"),
        ]
        assert {row.method for row in example.rows("sign-in")[:-1]} == {"oauth:provider"}
        written = example.read_files()
        for secret in (*provider.given, CLIENT[1]):
            assert secret.encode() not in written


def test_provider_that_is_down(monkeypatch: pytest.MonkeyPatch, serve: Any) -> None:
    set_provider(monkeypatch, f"http://127.0.0.1:{free_port()}")
    with closing(Example("oidc_client", serve)) as example:
        answer = example.visitor.get("/login")
        assert (answer.status_code, "does not answer" in answer.text) == (502, True)
        assert [fact[:3] for fact in example.told()] == [("sign_in", "failure", "provider_error")]
