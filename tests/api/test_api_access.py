"""Who may call what: tokens and scopes over HTTP."""

from __future__ import annotations

import pytest

from melody_logs.clients.registry import create_client, disable_client
from melody_logs.clients.tokens import TokenAuthority
from tests.api.conftest import Api, assert_problem
from tests.storage.rows import message, read_all, write

PATHS = [("GET", "/email"), ("GET", "/sms/1"), ("DELETE", "/sign-in"), ("GET", "/cleanups/1"), ("HEAD", "/email")]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_call_without_a_token_is_refused(sqlite_api: Api, method: str, path: str) -> None:
    response = sqlite_api.app.test_client().open(f"/api/v1/logs{path}", method=method)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="melody_logs"'


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic Zm9vOmJhcg==", "Token {}", "{}", "Bearer{}"])
def test_other_scheme_is_refused(sqlite_api: Api, header: str) -> None:
    headers = {"Authorization": header.format(sqlite_api.token())}
    response = sqlite_api.app.test_client().get("/api/v1/logs/email", headers=headers)
    assert_problem(response, 401)
    assert "error=" not in response.headers["WWW-Authenticate"]


def test_name_of_the_scheme_has_no_case(sqlite_api: Api) -> None:
    """RFC 9110, section 11.1."""
    headers = {"Authorization": f"bearer {sqlite_api.token()}"}
    assert sqlite_api.app.test_client().get("/api/v1/logs/email", headers=headers).status_code == 200


@pytest.mark.parametrize("token", ["abc", "a.b.c", "{}x", "x" * 5_000, "\xff.\xfe.\xfd", "é"])
def test_bad_token_is_refused_with_the_reason(sqlite_api: Api, token: str) -> None:
    headers = {"Authorization": f"Bearer {token.format(sqlite_api.token())}"}
    response = sqlite_api.app.test_client().get("/api/v1/logs/email", headers=headers)
    assert_problem(response, 401)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="melody_logs", error="invalid_token"'


def test_two_tokens_are_refused(sqlite_api: Api) -> None:
    headers = [("Authorization", f"Bearer {sqlite_api.token()}")] * 2
    response = sqlite_api.app.test_client().get("/api/v1/logs/email", headers=headers)
    assert_problem(response, 400)
    assert 'error="invalid_request"' in response.headers["WWW-Authenticate"]


def test_token_in_the_address_is_refused(sqlite_api: Api) -> None:
    response = sqlite_api.app.test_client().get(f"/api/v1/logs/email?access_token={sqlite_api.token()}")
    assert_problem(response, 401)


@pytest.mark.parametrize("scope", ["root", "read_log", "write_log", "read_log write_log"])
def test_every_scope_may_read(sqlite_api: Api, scope: str) -> None:
    assert sqlite_api.get("/email", scope=scope).status_code == 200


def test_reading_scope_may_not_delete(api: Api) -> None:
    write(api.database, message())
    path = "/email?before=9999-12-31T23:59:59Z&allow_recent=true"
    response = api.delete(path, scope="read_log")
    assert_problem(response, 401)
    challenge = 'Bearer realm="melody_logs", error="insufficient_scope", scope="root write_log"'
    assert response.headers["WWW-Authenticate"] == challenge
    assert len(read_all(api.database, "email")) == 1
    assert api.delete(path, scope="write_log").status_code == 204


def test_scope_that_only_looks_like_root_is_worth_nothing(sqlite_api: Api) -> None:
    """Such a token cannot be had; one is signed by hand."""
    from melody_logs.api.services import services_of

    client = create_client(sqlite_api.database, "billing", ["root"])
    with sqlite_api.app.app_context():
        authority: TokenAuthority = services_of().authority
        token = authority.issue_token(client.client_id, "rootless notroot").access_token
    headers = {"Authorization": f"Bearer {token}"}
    response = sqlite_api.app.test_client().get("/api/v1/logs/email", headers=headers)
    assert_problem(response, 401)
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


def test_token_of_another_installation_is_refused(api: Api, sqlite_url: str) -> None:
    from tests.hosts import close_host, make_host

    other, _ = make_host(sqlite_url.replace("logs.db", "other.db"), SECRET_KEY="other")
    headers = {"Authorization": f"Bearer {api.token()}"}
    assert_problem(other.test_client().get("/api/v1/logs/email", headers=headers), 401)
    close_host(other)


def test_disabled_client_is_shut_out(api: Api) -> None:
    """At once where its token was not seen before, within a minute elsewhere."""
    client = create_client(api.database, "leaver", ["root"])
    token = api.ask_token(client).json["access_token"]  # type: ignore[index]
    disable_client(api.database, client.client_id)
    headers = {"Authorization": f"Bearer {token}"}
    assert_problem(api.app.test_client().get("/api/v1/logs/email", headers=headers), 401)
