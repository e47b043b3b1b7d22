"""Hosts with sessions on a server, with Flask-Login's protection of them, and with Flask-CORS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from flask import Flask, session
from flask_cors import CORS
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from flask_session import Session

from melody_logs.state import state_of
from tests.guest.conftest import API, CLEAN, PAGES, MoveIn, NewHost, bearer, read_form
from tests.storage.rows import read_all


@pytest.fixture
def server(redis_url: str) -> Iterator[Any]:
    """A Redis in which the host keeps its sessions."""
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()


def test_sessions_on_a_server(new_host: NewHost, move_in: MoveIn, server: Any) -> None:
    """Our token lies in the host's session; programs open none."""
    app = new_host(SESSION_TYPE="redis", SESSION_REDIS=server)
    Session(app)
    app.add_url_rule("/count", "count", lambda: str(session.setdefault("count", 0)))
    move_in(app)
    headers = bearer(app)
    assert app.test_client().get(f"{API}/email", headers=headers).status_code == 200
    assert server.keys() == [], "a program leaves no session behind"
    client = app.test_client()
    client.get("/count")
    (key,) = server.keys()
    form = read_form(client)
    assert client.post(CLEAN, data=form).status_code == 303
    assert server.keys() == [key]
    assert client.get("/count").text == "0"
    stranger = app.test_client()
    stranger.get("/count")
    assert stranger.post(CLEAN, data=form).status_code == 403, "a token of another session opens nothing"


class User(UserMixin):
    """The host's only user."""

    id = "7"


@pytest.fixture
def guarded_host(new_host: NewHost, move_in: MoveIn) -> Flask:
    """A host with Flask-Login, whose sessions are tied to address and browser; users may enter our pages."""
    app = new_host()
    manager = LoginManager(app)
    manager.session_protection = "strong"
    manager.user_loader(lambda user_id: User() if user_id == "7" else None)

    @app.post("/login")
    def login() -> str:
        login_user(User())
        return "welcome"

    @app.get("/private")
    @login_required
    def private() -> str:
        return "private"

    logs = move_in(app, access=lambda: "write" if current_user.is_authenticated else None)
    logs.watch_sign_in("login")
    return app


def test_session_that_is_tied_to_its_browser(guarded_host: Flask) -> None:
    """A stolen cookie opens neither the host's views nor our pages."""
    client = guarded_host.test_client()
    browser = {"User-Agent": "Firefox"}
    assert client.get(f"{PAGES}/", headers=browser).status_code == 403
    client.post("/login", data={"email": "ann@example.org"}, headers=browser)
    (row,) = read_all(state_of(guarded_host).database, "sign-in")
    assert (row.outcome, row.user_id) == ("success", "7")
    assert client.get("/private", headers=browser).text == "private"
    form = read_form(client, headers=browser)
    assert client.post(CLEAN, data=form, headers=browser).status_code == 303
    assert "7" in client.get(f"{PAGES}/retention", headers=browser).text
    other = {"User-Agent": "a thief's"}
    assert client.get(f"{PAGES}/", headers=other).status_code == 403
    assert client.get("/private", headers=other).status_code == 401
    assert client.get(f"{API}/email", headers=bearer(guarded_host)).status_code == 200


def test_host_that_lets_other_sites_read_its_answers(new_host: NewHost, move_in: MoveIn) -> None:
    """Flask-CORS marks our answers as well; its permission opens no page of ours and no endpoint to other sites."""
    app = new_host()
    CORS(app, supports_credentials=True, origins=["https://partner.example"])
    move_in(app)
    client = app.test_client()
    partner = {"Origin": "https://partner.example"}
    assert client.get("/", headers=partner).headers["Access-Control-Allow-Origin"] == partner["Origin"]
    answer = client.get(f"{API}/email", headers=bearer(app) | partner)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, partner["Origin"])
    asked = {"Access-Control-Request-Method": "POST"}
    assert client.options("/form", headers=partner | asked).status_code == 200
    refused = client.options(f"{API}/email", headers=partner | asked)
    assert refused.status_code == 401, "a browser goes no further: the API is for servers"
    form = read_form(client)
    assert client.post(CLEAN, data=form, headers=partner).status_code == 403
    assert client.post(CLEAN, data=form).status_code == 303
