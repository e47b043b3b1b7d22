"""Hosts with error pages of their own: theirs everywhere, ours on our pages, problem documents for programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, jsonify
from werkzeug.exceptions import HTTPException

from melody_logs.state import state_of
from tests.api.conftest import assert_problem
from tests.guest.conftest import API, CLEAN, PAGES, TOKEN, MoveIn, NewHost, bearer, read_form
from tests.hosts import add_login_view
from tests.storage.rows import read_all

Answer = Callable[[Exception], Any]


def their_page(error: Exception) -> Any:
    """Answer with the host's page."""
    code = error.code or 500 if isinstance(error, HTTPException) else 500
    return f"their {code}", code


def their_json(error: Exception) -> Any:
    """Answer as a host does that is an API itself."""
    text, code = their_page(error)
    return jsonify(error=text), code


#: What hosts register an answer for.
HANDLERS: dict[str, list[Any]] = {
    "codes": [400, 401, 403, 404, 405, 415, 429, 500, 503],
    "HTTPException": [HTTPException],
    "Exception": [Exception],
}


@pytest.fixture(params=["before", "after"])
def settle(request: pytest.FixtureRequest, new_host: NewHost, move_in: MoveIn) -> Callable[[list[Any], Answer], Flask]:
    """A function that makes a host whose answers are registered before melody_logs moves in or after."""

    def make(handled: list[Any], answer: Answer) -> Flask:
        app = new_host(PROPAGATE_EXCEPTIONS=False)
        app.view_functions.pop("home")
        add_login_view(app)
        app.add_url_rule("/fail", "fail", fail)
        if request.param == "after":
            move_in(app).watch_sign_in("auth.login")
        for what in handled:
            app.register_error_handler(what, answer)
        if request.param == "before":
            move_in(app).watch_sign_in("auth.login")
        return app

    return make


def fail(*given: object) -> Any:
    """Raise what nobody expects."""
    raise RuntimeError("a fault")


@pytest.mark.parametrize("answer", [their_page, their_json])
@pytest.mark.parametrize("handled", HANDLERS.values(), ids=HANDLERS)
def test_each_has_its_own_answers(
    settle: Any, handled: list[Any], answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = settle(handled, answer)
    client, headers = app.test_client(), bearer(app)
    for method, path, code in (
        ("GET", "/nothing", 404),
        ("GET", "/fail", 500),
        ("DELETE", "/login", 405),
        ("GET", "/oauth2/v1/nothing", 404),
    ):
        theirs = client.open(path, method=method)
        assert f"their {code}" in theirs.text and theirs.status_code == code
    assert_problem(client.get(f"{API}/fax"), 404)
    assert_problem(client.get(f"{API}/email/77", headers=headers), 404)
    assert_problem(client.put(f"{API}/email", headers=headers), 405)
    assert_problem(client.get(f"{API}/email"), 401)
    assert_problem(client.post(TOKEN), 400)
    for method, path, code in (("GET", "/email/77", 404), ("POST", "/sign-in/clean", 403)):
        ours = client.open(PAGES + path, method=method)
        assert ours.status_code == code
        assert "their" not in ours.text and "melody-logs" in ours.text
    assert client.post(CLEAN, data=read_form(client)).status_code == 303
    monkeypatch.setattr("melody_logs.api.logs.count_rows", fail)
    monkeypatch.setattr("melody_logs.admin.entries.page_by_number", fail)
    assert_problem(client.get(f"{API}/email", headers=headers), 500)
    ours = client.get(f"{PAGES}/email")
    assert ours.status_code == 500 and "under number" in ours.text


def test_attempt_that_ended_in_the_hosts_error_page_is_a_failure(settle: Any) -> None:
    app = settle(HANDLERS["Exception"], their_page)
    form = {"email": "ann@example.org", "password": "crash"}
    assert app.test_client().post("/login", data=form).text == "their 500"
    assert [row.outcome for row in read_all(state_of(app).database, "sign-in")] == ["failure"]
