"""Hosts with Flask-Limiter: its defaults count on our routes too, until the host exempts them as the guide shows."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from melody_logs.state import state_of
from tests.docs import code_under
from tests.guest.conftest import API, API_BLUEPRINTS, CLEAN, KEYS, PAGES, MoveIn, NewHost, ask_token, bearer, read_form
from tests.hosts import add_login_view
from tests.storage.rows import read_all


def limit(app: Flask, *limits: str, storage: str = "memory://") -> Limiter:
    """Give a host limits on every route of the app."""
    options: dict[str, Any] = {"default_limits": list(limits), "storage_uri": storage, "headers_enabled": True}
    return Limiter(get_remote_address, app=app, **options)


@pytest.fixture(params=["before", "after"])
def host(request: pytest.FixtureRequest, new_host: NewHost, move_in: MoveIn) -> Flask:
    """A host that allows two requests a minute on each route; its Limiter comes before melody_logs or after it."""
    app = new_host()
    app.register_error_handler(429, lambda error: ("their page", 429))
    if request.param == "before":
        limit(app, "2 per minute")
    move_in(app)
    if request.param == "after":
        limit(app, "2 per minute")
    return app


def test_defaults_of_the_host_count_on_our_pages(host: Flask) -> None:
    client = host.test_client()
    assert [client.get(f"{PAGES}/sign-in").status_code for _ in range(3)] == [200, 200, 429]
    refused = client.get(f"{PAGES}/sign-in")
    assert "Too many requests" in refused.text
    assert int(refused.headers["Retry-After"]) <= 60


def test_defaults_of_the_host_count_on_our_api_and_are_problems_there(host: Flask) -> None:
    client, headers = host.test_client(), bearer(host)
    answers = [client.get(f"{API}/email", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].content_type == "application/problem+json"
    assert int(answers[2].headers["Retry-After"]) <= 60
    assert [ask_token(host).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("storage", ["memory", "redis"])
def test_exempted_blueprints_of_ours_are_free_and_routes_of_the_host_are_not(
    new_host: NewHost, move_in: MoveIn, storage: str, request: pytest.FixtureRequest
) -> None:
    app = new_host()
    where = "memory://" if storage == "memory" else request.getfixturevalue("redis_url")
    limiter = limit(app, "2 per minute", storage=where)
    move_in(app)
    exec(code_under("hosts.md", "Flask-Limiter"), {"app": app, "limiter": limiter})
    client, headers = app.test_client(), bearer(app)
    for _ in range(4):
        assert client.get(f"{PAGES}/email").status_code == 200
        assert client.get(f"{API}/email", headers=headers).status_code == 200
        assert client.get(KEYS).status_code == 200
        assert ask_token(app).status_code == 200
    assert client.post(CLEAN, data=read_form(client)).status_code == 303
    assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]


def test_names_of_our_blueprints_are_those_that_hosts_were_told(new_host: NewHost, move_in: MoveIn) -> None:
    app = new_host()
    move_in(app)
    assert set(app.blueprints) == API_BLUEPRINTS | {"melody_logs_admin", "melody_logs_monitoring"}


def test_attempt_that_the_limiter_refused_is_recorded(new_host: NewHost, move_in: MoveIn) -> None:
    """The view never ran; that somebody knocks so often is what the log is for."""
    app = new_host()
    app.view_functions.pop("home")
    limit(app, "1 per minute")
    add_login_view(app)
    move_in(app).watch_sign_in("auth.login")
    client = app.test_client()
    form = {"email": "ann@example.org", "password": "wrong"}
    assert [client.post("/login", data=form).status_code for _ in range(3)] == [200, 429, 429]
    rows = read_all(state_of(app).database, "sign-in")
    assert [(row.identity, row.outcome) for row in rows] == [("ann@example.org", "failure")] * 3
