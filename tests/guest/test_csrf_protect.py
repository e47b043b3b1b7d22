"""Hosts with Flask-WTF's CSRFProtect: programs pass, our pages pass with their token, the host's forms stay guarded."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError, generate_csrf

from melody_logs.state import state_of
from tests.guest.conftest import API, CLEAN, MoveIn, NewHost, ask_token, bearer, read_form
from tests.hosts import add_login_view
from tests.storage.rows import read_all


@pytest.fixture(params=["before", "after", "in a factory"])
def host(request: pytest.FixtureRequest, new_host: NewHost, move_in: MoveIn) -> Flask:
    """A host whose protection is initialised before melody_logs, after it, or made before and initialised after."""
    app = new_host()
    app.add_url_rule("/token", "token", generate_csrf)
    protection = CSRFProtect(app) if request.param == "before" else CSRFProtect()
    move_in(app)
    if request.param != "before":
        protection.init_app(app)
    return app


def test_programs_need_no_csrf_token(host: Flask) -> None:
    """They bring a token of their own and no cookie."""
    assert ask_token(host).status_code == 200
    client, headers = host.test_client(), bearer(host)
    assert client.get(f"{API}/email", headers=headers).status_code == 200
    assert client.delete(f"{API}/email?before=2025-01-03T01:02:03Z", headers=headers).status_code == 204


def test_our_forms_pass_with_their_token_and_not_without(host: Flask) -> None:
    client = host.test_client()
    form = read_form(client)
    assert client.post(CLEAN, data=form).status_code == 303
    del form["csrf_token"]
    refused = client.post(CLEAN, data=form)
    assert refused.status_code in (400, 403)
    assert "melody-logs" in refused.text, "the refusal is a page of ours"


def test_forms_of_the_host_stay_protected(host: Flask) -> None:
    client = host.test_client()
    assert client.post("/form").status_code == 400
    token = client.get("/token").text
    assert client.post("/form", data={"csrf_token": token}).text == "done"
    assert client.post("/form", headers=bearer(host)).status_code == 400, "a token of ours opens nothing of the host's"


def test_host_with_names_of_its_own_for_field_and_header(new_host: NewHost, move_in: MoveIn) -> None:
    app = new_host(WTF_CSRF_FIELD_NAME="their_token", WTF_CSRF_HEADERS=["X-Their-Token"], WTF_CSRF_TIME_LIMIT=None)
    CSRFProtect(app)
    move_in(app)
    client = app.test_client()
    form = read_form(client)
    assert "their_token" in form
    assert client.post(CLEAN, data=form).status_code == 303


def test_host_that_checks_by_itself_leaves_our_forms_protected(new_host: NewHost, move_in: MoveIn) -> None:
    """``WTF_CSRF_CHECK_DEFAULT = False`` is about the host's own views."""
    app = new_host(WTF_CSRF_CHECK_DEFAULT=False)
    CSRFProtect(app)
    move_in(app)
    client = app.test_client()
    form = read_form(client)
    assert client.post("/form").text == "done"
    assert client.post(CLEAN, data=form | {"csrf_token": "wrong"}).status_code == 403
    assert client.post(CLEAN, data=form).status_code == 303


def test_page_of_the_host_for_forgeries_is_for_its_own_forms(new_host: NewHost, move_in: MoveIn) -> None:
    app = new_host()
    CSRFProtect(app)
    app.register_error_handler(CSRFError, lambda error: ("their page", 400))
    move_in(app)
    client = app.test_client()
    answers: list[Any] = [client.post("/form"), client.post(CLEAN)]
    assert answers[0].text == "their page"
    assert "their page" not in answers[1].text
    assert answers[1].status_code in (400, 403)


def test_host_that_asks_for_a_referrer_on_https(new_host: NewHost, move_in: MoveIn) -> None:
    """``WTF_CSRF_SSL_STRICT`` is Flask-WTF's default: browsers send ours one, and programs send none."""
    app = new_host()
    app.add_url_rule("/token", "token", generate_csrf)
    CSRFProtect(app)
    move_in(app)
    client, secure = app.test_client(), {"base_url": "https://localhost"}
    form = read_form(client, **secure)
    assert client.post(CLEAN, data=form, **secure).status_code == 400
    assert client.post(CLEAN, data=form, headers={"Referer": f"https://localhost{CLEAN}"}, **secure).status_code == 303
    foreign = {"Referer": "https://elsewhere.example/"}
    assert client.post(CLEAN, data=form, headers=foreign, **secure).status_code == 400
    headers = bearer(app, **secure)
    assert client.delete(f"{API}/sms?before=2025-01-03T01:02:03Z", headers=headers, **secure).status_code == 204
    token = client.get("/token", **secure).text
    assert client.post("/form", data={"csrf_token": token}, **secure).status_code == 400


def test_token_that_is_too_old_is_refused_on_our_pages_as_on_the_hosts(new_host: NewHost, move_in: MoveIn) -> None:
    app = new_host(WTF_CSRF_TIME_LIMIT=-1)
    app.add_url_rule("/token", "token", generate_csrf)
    CSRFProtect(app)
    move_in(app)
    client = app.test_client()
    assert client.post("/form", data={"csrf_token": client.get("/token").text}).status_code == 400
    refused = client.post(CLEAN, data=read_form(client))
    assert refused.status_code == 400
    assert "Nothing was deleted" not in refused.text and "melody-logs" in refused.text
    assert len(read_all(state_of(app).database, "sign-in")) == 1


def test_sign_in_through_a_protected_form_is_recorded_and_a_forged_one_as_failed(
    new_host: NewHost, move_in: MoveIn
) -> None:
    app = new_host()
    app.view_functions.pop("home")
    add_login_view(app)
    app.add_url_rule("/token", "token", generate_csrf)
    CSRFProtect(app)
    move_in(app).watch_sign_in("auth.login")
    client = app.test_client()
    form = {"email": "ann@example.org", "password": "right"}
    assert client.post("/login", data=form).status_code == 400
    assert client.post("/login", data=form | {"csrf_token": client.get("/token").text}).status_code == 302
    assert [row.outcome for row in read_all(state_of(app).database, "sign-in")] == ["failure", "success"]
