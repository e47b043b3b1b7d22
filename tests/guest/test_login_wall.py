"""Hosts with a wall in ``before_request``: our pages are behind it; programs pass where the host lets them.

A wall that asks for a signed-in user stops programs too, for they sign in otherwise. The host lets them through by the
name of the blueprint (exact, and untouched by other prefixes) or by the path.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask, redirect, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user
from werkzeug.wrappers import Response

from melody_logs.state import state_of
from tests.docs import code_under
from tests.guest.conftest import API, API_BLUEPRINTS, CLEAN, KEYS, PAGES, MoveIn, NewHost, ask_token, bearer, read_form
from tests.storage.rows import read_all

Passes = Callable[[], bool]


def passes_by_blueprint() -> bool:
    return request.blueprint in API_BLUEPRINTS


def passes_by_path() -> bool:
    return f"{request.path}/".startswith(("/api/v1/logs/", "/oauth2/v1/token/", "/.well-known/jwks.json/"))


def build_wall(app: Flask, passes: Passes) -> None:
    """Ask every visitor without a session to sign in, as hosts write it."""

    @app.before_request
    def wall() -> Response | None:
        if "user_id" in session or request.endpoint in ("sign_in", "static") or passes():
            return None
        return redirect("/sign-in")

    @app.route("/sign-in", methods=["GET", "POST"], endpoint="sign_in")
    def sign_in() -> str:
        session["user_id"] = 7
        return "welcome"


@pytest.fixture(params=["before", "after"])
def wall(request: pytest.FixtureRequest, new_host: NewHost, move_in: MoveIn) -> Callable[[Passes], Flask]:
    """A function that makes a host with a wall, built before melody_logs moved in or after."""

    def make(passes: Passes) -> Flask:
        app = new_host()
        if request.param == "before":
            build_wall(app, passes)
        move_in(app)
        if request.param == "after":
            build_wall(app, passes)
        return app

    return make


def test_wall_stands_before_our_pages(wall: Callable[[Passes], Flask]) -> None:
    """Although ``admin_access`` would let everyone in."""
    client = wall(passes_by_blueprint).test_client()
    for path in ("/", "/sign-in", "/sign-in/1", "/email/1/body"):
        answer = client.get(PAGES + path)
        assert (answer.status_code, answer.location) == (302, "/sign-in")
    assert client.post(CLEAN).location == "/sign-in"
    # A part of a page becomes no sign-in form: the whole window goes there.
    part = client.get(f"{PAGES}/sign-in", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/sign-in")
    client.post("/sign-in")
    assert client.get(f"{PAGES}/").status_code == 200
    assert client.post(CLEAN, data=read_form(client)).status_code == 303


@pytest.mark.parametrize("passes", [passes_by_blueprint, passes_by_path])
def test_host_lets_programs_through(wall: Callable[[Passes], Flask], passes: Passes) -> None:
    app = wall(passes)
    client, headers = app.test_client(), bearer(app)
    assert client.get(f"{API}/sign-in", headers=headers).status_code == 200
    assert client.delete(f"{API}/sms?before=2025-01-03T01:02:03Z", headers=headers).status_code == 204
    assert client.get(KEYS).status_code == 200
    assert client.get(f"{API}/sign-in").status_code == 401, "the token is still asked for"
    assert client.get("/").location == "/sign-in"


def test_wall_without_a_gate_stops_programs_too(wall: Callable[[Passes], Flask]) -> None:
    """We bypass nothing of the host's."""
    app = wall(lambda: False)
    assert ask_token(app).location == "/sign-in"
    assert app.test_client().get(f"{API}/email").location == "/sign-in"


class User(UserMixin):
    """The host's only user."""

    id = "7"


@pytest.mark.parametrize("before", [True, False])
def test_wall_of_the_guide(new_host: NewHost, move_in: MoveIn, before: bool) -> None:
    """Its very code, with Flask-Login: visitors sign in first, programs bring their token."""
    app = new_host(MELODY_LOGS_POSTMARK_CREDENTIALS="postmark:a-long-password")
    LoginManager(app).user_loader(lambda user_id: User())

    @app.route("/login", methods=["GET", "POST"])
    def login() -> str:
        return str(request.method == "POST" and login_user(User()))

    names = {"app": app, "request": request, "redirect": redirect, "url_for": url_for, "current_user": current_user}
    if before:
        exec(code_under("hosts.md", "A login wall"), dict(names))
    move_in(app).watch_sign_in("login")
    if not before:
        exec(code_under("hosts.md", "A login wall"), dict(names))
    client, headers = app.test_client(), bearer(app)
    for path in ("/", f"{PAGES}/", f"{PAGES}/sign-in/1", f"{PAGES}/health"):
        assert client.get(path).location == "/login"
    assert client.post("/form").location == "/login"
    assert client.delete(f"{API}/sms?before=2025-01-03T01:02:03Z", headers=headers).status_code == 204
    assert client.get(f"{API}/email").status_code == 401
    assert client.get(KEYS).status_code == 200
    report = "/webhooks/melody-logs/postmark"
    assert client.post(report, json={}, auth=("postmark", "a-long-password")).status_code == 200
    assert client.post("/login", data={"email": "ann@example.org"}).text == "True"
    assert [row.user_id for row in read_all(state_of(app).database, "sign-in")] == ["7"]
    assert client.get("/").text == "the host's own page"
    assert client.post(CLEAN, data=read_form(client)).status_code == 303
