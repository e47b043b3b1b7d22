"""Who may enter: nobody until the host says so, and then only as far as it says."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask, abort, redirect

from tests.admin.conftest import PREFIX, MakeApp

PAGES = ("/", "/sign-in", "/sign-in/1", "/email/1/body", "/retention", "/health", "/sms/clean", "/sms/clean/1")
HTMX = {"HX-Request": "true"}


def _refuse() -> None:
    abort(401)


def _break() -> None:
    raise RuntimeError("the host's own mistake")


def _break_later() -> Any:
    yield "read"
    raise RuntimeError("the host's own mistake, seen late")


@pytest.mark.parametrize(
    "access",
    [None, lambda: None, (), "", "admin", True, 1, ["read", "fly"], {"write": True}, _break, _break_later],
)
def test_nobody_enters_without_a_permission(make_app: MakeApp, access: Any) -> None:
    """No function, no permission, an unknown one or a function that raises: every page is closed, none leaks a row."""
    client = make_app(access).test_client()
    for page in PAGES:
        response = client.get(PREFIX + page)
        assert response.status_code == 403
        assert "ann@example.org" not in response.text
        assert "Sign-ins" not in response.text
    assert client.post(PREFIX + "/sms/clean").status_code == 403


@pytest.mark.parametrize(
    "access",
    ["read", {"read"}, ["read"], ("read", "read"), "write", {"write"}, {"read", "write"}, frozenset({"write"})],
)
def test_a_permission_or_a_set_of_them_opens_the_pages(make_app: MakeApp, access: Any) -> None:
    assert make_app(access).test_client().get(PREFIX + "/").status_code == 200


def test_an_unknown_permission_is_logged_with_what_is_accepted(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "melody_logs"):
        make_app("admin").test_client().get(PREFIX + "/")
    assert "'admin'" in caplog.text
    assert '"read", "write"' in caplog.text


def test_readers_see_no_clean_button_and_cannot_clean(make_app: MakeApp) -> None:
    client = make_app("read").test_client()
    assert "Clean older" not in client.get(PREFIX + "/").text
    for response in (client.get(PREFIX + "/sign-in/clean"), client.post(PREFIX + "/sign-in/clean")):
        assert response.status_code == 403
        assert "not change them" in response.text


def test_the_refusal_shows_the_lines_to_add_in_debug_mode_only(make_app: MakeApp) -> None:
    app = make_app(None)
    assert "@logs.admin_access" not in app.test_client().get(PREFIX + "/").text
    app.debug = True
    text = app.test_client().get(PREFIX + "/").text
    assert "@logs.admin_access" in text
    assert "These pages are closed" in text


def test_a_role_that_is_taken_away_closes_the_next_request(make_app: MakeApp) -> None:
    granted = ["write"]
    client = make_app(lambda: granted[0] if granted else None).test_client()
    assert client.get(PREFIX + "/").status_code == 200
    granted.clear()
    assert client.get(PREFIX + "/").status_code == 403


def test_what_the_host_aborts_with_is_the_answer(make_app: MakeApp) -> None:
    response = make_app(_refuse).test_client().get(PREFIX + "/")
    assert response.status_code == 401
    assert "Please sign in first" in response.text


def test_a_redirect_of_the_host_leads_the_whole_window_to_its_sign_in_page(make_app: MakeApp) -> None:
    """htmx would follow it and put the sign-in page into a panel."""
    client = make_app(lambda: redirect("/login")).test_client()
    plain = client.get(PREFIX + "/sign-in")
    assert (plain.status_code, plain.location) == (302, "/login")
    part = client.get(PREFIX + "/sign-in", headers=HTMX)
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/login")


def test_a_login_wall_of_the_host_does_the_same(make_app: MakeApp) -> None:
    app = make_app()
    app.before_request(lambda: redirect("/login"))
    part = app.test_client().get(PREFIX + "/sign-in", headers=HTMX)
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/login")


def test_refused_parts_are_parts(make_app: MakeApp) -> None:
    text = make_app(None).test_client().get(PREFIX + "/sign-in", headers=HTMX).text
    assert "<html" not in text
    assert 'role="alert"' in text


def test_the_host_keeps_its_own_error_pages(app: Flask) -> None:
    app.register_error_handler(404, lambda error: ("the host's 404", 404))
    client = app.test_client()
    assert client.get("/nothing").text == "the host's 404"
    assert "Melody Logs" in client.get(PREFIX + "/email/999").text
