"""Hosts whose own routes come close to ours: a catch-all, an OAuth server and a key set of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from melody_logs.state import state_of
from tests.api.conftest import assert_problem
from tests.guest.conftest import API, CLEAN, KEYS, PAGES, TOKEN, MoveIn, NewHost, ask_token, bearer, read_form
from tests.hosts import add_login_view
from tests.storage.rows import read_all

AddRoutes = Callable[[Flask], None]
Settle = Callable[[AddRoutes], Flask]


@pytest.fixture(params=["before", "after"])
def settle(request: pytest.FixtureRequest, new_host: NewHost, move_in: MoveIn) -> Settle:
    """A function that makes a host whose routes are added before melody_logs moves in or after."""

    def make(add_routes: AddRoutes) -> Flask:
        app = new_host()
        if request.param == "before":
            add_routes(app)
        move_in(app)
        if request.param == "after":
            add_routes(app)
        return app

    return make


def catch_all(app: Flask) -> None:
    """Answer every path with the one page of a JavaScript app, as such hosts do."""
    app.add_url_rule("/<path:path>", "everything", lambda path: f"page {path}")


def catch_every_method(app: Flask) -> None:
    """Answer everything, as a host that passes requests on does."""
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    app.add_url_rule("/<path:path>", "everything", lambda path: f"page {path}", methods=methods)


@pytest.mark.parametrize("catch", [catch_all, catch_every_method])
def test_catch_all_route_leaves_ours_reachable(settle: Settle, catch: AddRoutes) -> None:
    app = settle(catch)
    client, headers = app.test_client(), bearer(app)
    assert client.get(f"{API}/email", headers=headers).status_code == 200
    assert "keys" in client.get(KEYS).json  # type: ignore[operator]
    assert client.get(PAGES).location == f"http://localhost{PAGES}/"
    assert "<title>" in client.get(f"{PAGES}/").text
    assert client.post(CLEAN, data=read_form(client)).status_code == 303
    assert client.delete(f"{API}/sms?before=2025-01-03T01:02:03Z", headers=headers).status_code == 204
    for path in ("/anything", "/oauth2/authorize", "/api/v1/users", "/api/v1/logsbook", "/.well-known/security.txt"):
        assert client.get(path).text == f"page {path[1:]}"


@pytest.mark.parametrize("catch", [catch_all, catch_every_method])
def test_catch_all_route_does_not_answer_programs_of_ours(settle: Settle, catch: AddRoutes) -> None:
    """A page with status 200 for a misspelt address would look like an answer to them."""
    app = settle(catch)
    client, headers = app.test_client(), bearer(app)
    for path in (API, f"{API}/fax", f"{API}/email/1/2", f"{TOKEN}/x"):
        assert_problem(client.get(path, headers=headers), 404)
    assert_problem(client.get(TOKEN), 405)
    problem = client.put(f"{API}/email", headers=headers)
    assert_problem(problem, 405)
    assert set(problem.headers["Allow"].split(", ")) == {"GET", "HEAD", "DELETE", "OPTIONS"}


def test_sign_in_by_a_catch_all_route_is_recorded(new_host: NewHost, move_in: MoveIn) -> None:
    """One view is all the host has; what is no sign-in is told apart by the host's own functions."""
    app = new_host()
    app.view_functions.pop("home")
    add_login_view(app)
    catch_every_method(app)
    move_in(app).watch_sign_in("auth.login")
    client = app.test_client()
    assert client.post("/login", data={"email": "ann@example.org", "password": "right"}).status_code == 302
    assert client.post("/elsewhere", data={"email": "bob@example.org"}).text == "page elsewhere"
    assert [row.identity for row in read_all(state_of(app).database, "sign-in")] == ["ann@example.org"]


def authorization_server(app: Flask) -> None:
    """Add what an OAuth server of the host has, beside our token endpoint and elsewhere."""
    for path in ("/oauth2/token", "/oauth2/authorize", "/oauth2/v1/authorize", "/oauth2/v1/tokens", "/oauth2/v2/token"):
        app.add_url_rule(path, path, lambda path=path: f"their {path}", methods=["GET", "POST"])
    app.add_url_rule("/.well-known/openid-configuration", "configuration", lambda: {"issuer": "host"})


def test_host_keeps_its_authorization_server(settle: Settle) -> None:
    app = settle(authorization_server)
    client = app.test_client()
    for path in ("/oauth2/token", "/oauth2/authorize", "/oauth2/v1/authorize", "/oauth2/v1/tokens", "/oauth2/v2/token"):
        assert client.post(path).text == f"their {path}"
    assert client.get("/.well-known/openid-configuration").json == {"issuer": "host"}
    assert ask_token(app).status_code == 200


def keys_by_name(app: Flask) -> None:
    """Publish the host's keys at the usual address."""
    app.add_url_rule(KEYS, "their_keys", lambda: {"keys": ["host"]})


def keys_in_a_folder(app: Flask) -> None:
    """Publish a folder, in which the host's keys are."""
    app.add_url_rule("/.well-known/<path:name>", "their_folder", lambda name: {"keys": ["host"]})


@pytest.mark.parametrize("publish", [keys_by_name, keys_in_a_folder])
def test_host_keeps_its_key_set(settle: Settle, publish: AddRoutes) -> None:
    """Whoever checks the host's tokens would find the wrong keys otherwise."""
    app = settle(publish)
    assert app.test_client().get(KEYS).json == {"keys": ["host"]}
    assert app.test_client().get(f"{API}/email", headers=bearer(app)).status_code == 200


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("MELODY_LOGS_TOKEN_PREFIX", TOKEN),
        ("MELODY_LOGS_API_PREFIX", f"{API}/mine"),
        ("MELODY_LOGS_ADMIN_PREFIX", f"{PAGES}/sign-in"),
    ],
)
def test_route_that_comes_later_and_collides_is_told_once(
    new_host: NewHost, move_in: MoveIn, caplog: pytest.LogCaptureFixture, key: str, path: str
) -> None:
    """Before, it is refused; after, nobody asks us, and the requests must go on."""
    app = new_host()
    move_in(app)
    app.add_url_rule(path, "taken", lambda: "mine", methods=["GET", "POST"])
    for _ in range(2):
        assert app.test_client().get("/").status_code == 200
    (line,) = [record.message for record in caplog.records if key in record.message]
    assert f'"{path}" (taken)' in line
