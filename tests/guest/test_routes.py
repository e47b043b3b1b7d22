"""Hosts whose own routes come close to ours: a catch-all, an OAuth server and a key set of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.api.conftest import assert_problem
from tests.guest.conftest import API, KEYS, PAGES, TOKEN, MoveIn, NewHost, ask_token, bearer

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


def own_pages(app: Flask) -> None:
    """Have error pages for everything, app-wide."""

    def fail() -> Any:
        raise RuntimeError("the host's own fault")

    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/fail", "fail", fail)
    app.register_error_handler(404, lambda error: ("their 404", 404))
    app.register_error_handler(500, lambda error: ("their 500", 500))


def own_pages_for_classes(app: Flask) -> None:
    """Have one error page for each class of errors."""
    from werkzeug.exceptions import HTTPException

    own_pages(app)
    app.error_handler_spec[None].clear()
    app.register_error_handler(HTTPException, lambda error: (f"their {error.code}", error.code or 500))


@pytest.mark.parametrize("handlers", [own_pages, own_pages_for_classes])
def test_error_pages_of_the_host_are_its_own_and_not_for_programs(
    settle: Settle, handlers: AddRoutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = settle(handlers)
    client, headers = app.test_client(), bearer(app)
    for path, code in (("/nothing", 404), ("/fail", 500), ("/oauth2/v1/nothing", 404)):
        answer = client.get(path)
        assert (answer.text, answer.status_code) == (f"their {code}", code)
    assert_problem(client.get(f"{API}/fax"), 404)
    assert_problem(client.get(f"{API}/email/77", headers=headers), 404)
    assert_problem(client.get(f"{API}/email"), 401)
    assert "their" not in client.get(f"{PAGES}/email/77").text

    def fail(*given: object) -> None:
        raise RuntimeError("our fault")

    monkeypatch.setattr("melody_logs.api.logs.count_rows", fail)
    assert_problem(client.get(f"{API}/email", headers=headers), 500)
