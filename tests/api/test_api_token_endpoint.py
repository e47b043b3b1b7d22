"""The token endpoint and the published keys."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import KeySet

from melody_logs.clients.registry import NewClient, create_client, disable_client, rotate_secret
from tests.api.conftest import Api, assert_problem


@pytest.fixture
def client(sqlite_api: Api) -> NewClient:
    """A client that may do everything."""
    return create_client(sqlite_api.database, "billing", ["root"])


def basic(client_id: str, secret: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {b64encode(f'{client_id}:{secret}'.encode()).decode()}"}


def test_client_gets_a_token_as_the_contract_has_it(api: Api) -> None:
    response = api.ask_token(create_client(api.database, "billing", ["root"]))
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.headers["Cache-Control"] == "no-store"
    token: Any = response.json
    assert set(token) == {"access_token", "expires_in", "expires_on", "token_type", "scope"}
    assert (token["expires_in"], token["token_type"], token["scope"]) == (900, "Bearer", "root")
    assert token["expires_on"] - time.time() == pytest.approx(900, abs=5)


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
def test_name_of_the_scheme_has_no_case(sqlite_api: Api, client: NewClient, scheme: str) -> None:
    headers = basic(client.client_id, client.client_secret, scheme)
    assert sqlite_api.ask_token(client, headers=headers).status_code == 200


def test_several_scopes_are_granted_together(sqlite_api: Api) -> None:
    reader = create_client(sqlite_api.database, "both", ["read_log", "write_log"])
    assert sqlite_api.ask_token(reader, "write_log read_log").json["scope"] == "write_log read_log"  # type: ignore[index]
    assert sqlite_api.ask_token(reader, "read_log read_log").json["scope"] == "read_log"  # type: ignore[index]


def test_root_client_may_ask_for_less(sqlite_api: Api, client: NewClient) -> None:
    assert sqlite_api.ask_token(client, "read_log").json["scope"] == "read_log"  # type: ignore[index]


@pytest.mark.parametrize(
    "scope", ["", "rootless", "root admin", "Root", "root  read_log", " root", "root,read_log", "%"]
)
def test_scope_that_is_missing_or_unknown_is_refused(sqlite_api: Api, client: NewClient, scope: str) -> None:
    problem = assert_problem(sqlite_api.ask_token(client, scope), 400, "scope")
    assert problem["error"] == "invalid_scope"
    assert "root, read_log, write_log" in problem["detail"]


def test_scope_that_the_client_does_not_have_is_refused(sqlite_api: Api) -> None:
    reader = create_client(sqlite_api.database, "reader", ["read_log"])
    for scope in ("root", "write_log", "read_log write_log"):
        assert_problem(sqlite_api.ask_token(reader, scope), 400, "scope")


@pytest.mark.parametrize("grant", ["password", "authorization_code", "Client_Credentials", ""])
def test_unknown_grant_is_refused(sqlite_api: Api, client: NewClient, grant: str) -> None:
    response = sqlite_api.ask_token(client, data={"grant_type": grant, "scope": "root"})
    problem = assert_problem(response, 400, "grant_type")
    assert problem["error"] == ("unsupported_grant_type" if grant else "invalid_request")


def test_wrong_secret_and_unknown_client_get_the_same_answer(sqlite_api: Api, client: NewClient) -> None:
    """Nobody learns which clients there are."""
    answers = []
    for client_id, secret in (
        (client.client_id, "wrong"),
        ("mlc_unknown", client.client_secret),
        ("", ""),
        ("a\0", "b"),
    ):
        response = sqlite_api.ask_token(client, headers=basic(client_id, secret))
        assert_problem(response, 401)
        assert response.headers["WWW-Authenticate"] == 'Basic realm="melody_logs", charset="UTF-8"'
        answers.append(response.get_data())
    assert len(set(answers)) == 1


@pytest.mark.parametrize("header", [None, "", "Basic", "Basic !!!", "Basic Zm9v", "Bearer abc", "Digest x=1"])
def test_missing_or_unreadable_credentials_are_refused(sqlite_api: Api, client: NewClient, header: str | None) -> None:
    response = sqlite_api.ask_token(client, headers={} if header is None else {"Authorization": header})
    problem = assert_problem(response, 401)
    assert problem["error"] == "invalid_client"
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


def test_two_authorization_headers_are_refused(sqlite_api: Api, client: NewClient) -> None:
    good = basic(client.client_id, client.client_secret)["Authorization"]
    headers = [("Authorization", good), ("Authorization", good)]
    assert_problem(sqlite_api.ask_token(client, headers=headers), 400)


def test_secret_in_the_body_is_refused(sqlite_api: Api, client: NewClient) -> None:
    """One way to send a secret, and never two at once (RFC 6749, section 2.3)."""
    data = {"grant_type": "client_credentials", "scope": "root", "client_secret": client.client_secret}
    assert_problem(sqlite_api.ask_token(client, data=data), 400, "client_secret")
    assert_problem(sqlite_api.ask_token(client, data=data, headers={}), 401)


@pytest.mark.parametrize("query", ["client_secret=x", "grant_type=client_credentials&scope=root", "x=1"])
def test_parameters_in_the_address_are_refused(sqlite_api: Api, client: NewClient, query: str) -> None:
    assert sqlite_api.ask_token(client, query_string=query).status_code == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE"])
def test_token_endpoint_takes_post_only(sqlite_api: Api, method: str) -> None:
    response = sqlite_api.app.test_client().open("/oauth2/v1/token?client_secret=x", method=method)
    assert_problem(response, 405)
    assert set(response.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{"grant_type": "client_credentials", "scope": "root"}'),
        ("text/plain", "grant_type=client_credentials&scope=root"),
        ("multipart/form-data; boundary=x", "--x\r\n" * 10_000),
        ("", "grant_type=client_credentials&scope=root"),
        ("application/x-www-form-urlencoded", "grant_type=client_credentials&scope=root&scope=read_log"),
        ("application/x-www-form-urlencoded", "\xff\xfe%ff%00"),
        ("application/x-www-form-urlencoded", ""),
    ],
)
def test_body_that_is_no_plain_form_is_refused(
    sqlite_api: Api, client: NewClient, content_type: str, body: str
) -> None:
    response = sqlite_api.ask_token(client, data=body, content_type=content_type)
    assert response.status_code in (400, 413)
    assert response.content_type == "application/problem+json"


def test_large_body_is_refused_unread(sqlite_api: Api, client: NewClient) -> None:
    started = time.monotonic()
    response = sqlite_api.ask_token(client, data={"grant_type": "client_credentials", "scope": "x" * 10_000_000})
    assert_problem(response, 413)
    assert time.monotonic() - started < 10


def test_disabled_client_gets_no_token_and_a_rotated_one_does(sqlite_api: Api, client: NewClient) -> None:
    rotated = rotate_secret(sqlite_api.database, client.client_id)
    assert sqlite_api.ask_token(client).status_code == 200
    assert sqlite_api.ask_token(rotated).status_code == 200
    disable_client(sqlite_api.database, client.client_id)
    assert_problem(sqlite_api.ask_token(rotated), 401)


def test_published_keys_verify_the_token(api: Api) -> None:
    response = api.app.test_client().get("/.well-known/jwks.json")
    assert (response.status_code, response.content_type) == (200, "application/json")
    keys: Any = response.json
    assert all("d" not in key for key in keys["keys"])
    decoded = jwt.decode(api.token(), KeySet.import_key_set(keys), algorithms=["ES256"])
    assert decoded.header["typ"] == "at+jwt"
    assert decoded.claims["scope"] == "root"


def test_changed_secret_key_is_explained_in_the_log_not_to_the_caller(
    sqlite_api: Api, client: NewClient, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.hosts import close_host, make_host

    assert sqlite_api.ask_token(client).status_code == 200
    url = sqlite_api.database.url.render_as_string(hide_password=False)
    changed, _ = make_host(url, tmp_path=tmp_path, SECRET_KEY="changed")
    problem = assert_problem(Api(changed).ask_token(client), 503)
    assert "SECRET_KEY" not in str(problem)
    assert "put the earlier value back" in caplog.text
    close_host(changed)


def test_program_reads_the_logs_over_a_real_server(api: Api, serve: Callable[[Flask], str]) -> None:
    made = create_client(api.database, "program", ["root"])
    address = serve(api.app)
    form = {"grant_type": "client_credentials", "scope": "root"}
    answer = httpx.post(f"{address}/oauth2/v1/token", data=form, auth=(made.client_id, made.client_secret))
    authorization = f"Bearer {answer.json()['access_token']}"
    with httpx.Client(headers={"Authorization": authorization}, base_url=f"{address}/api/v1/logs") as session:
        page = session.get("/email", params={"page_size": 10, "page_number": 1})
        assert (page.status_code, page.json()) == (200, {"logs": [], "count": 0})
        deleted = session.delete("/email", params={"before": "2025-01-03T01:02:03+14:00"})
        assert (deleted.status_code, deleted.content) == (204, b"")
    doubled = [("Authorization", authorization)] * 2
    assert httpx.get(f"{address}/api/v1/logs/email", headers=doubled).status_code == 400
