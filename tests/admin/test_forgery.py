"""Changes: only those that one of our own pages asked for, in the visitor's own session."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask, Request
from flask.sessions import SessionInterface
from flask.testing import FlaskClient
from flask_wtf import CSRFProtect

from melody_logs.storage.database import Database
from melody_logs.storage.queries import Filters, count_rows
from tests.admin.conftest import PREFIX, MakeApp

Read = Callable[..., str]
CLEAN = PREFIX + "/sign-in/clean"


def form_of(page: str) -> dict[str, str]:
    """Read the hidden fields of a page."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))


def _rows(database: Database) -> int:
    return count_rows(database, "sign-in", Filters(events=None))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:81"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
)
def test_another_site_changes_nothing(
    client: FlaskClient, read: Read, database: Database, headers: dict[str, str]
) -> None:
    """Not even with a right token."""
    before = _rows(database)
    response = client.post(CLEAN, data=form_of(read("/sign-in/clean")), headers=headers)
    assert response.status_code == 403
    assert "Another site" in response.text
    assert _rows(database) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost:80"},
        # A proxy that ends TLS and tells nothing leaves http in our scheme.
        {"Origin": "https://localhost"},
    ],
)
def test_our_own_form_changes(client: FlaskClient, read: Read, headers: dict[str, str]) -> None:
    response = client.post(CLEAN, data=form_of(read("/sign-in/clean")), headers=headers)
    assert response.status_code == 303


@pytest.mark.parametrize("token", [None, "", "wrong", "a.b.c"])
def test_a_form_without_the_right_token_changes_nothing(
    client: FlaskClient, read: Read, database: Database, token: str | None
) -> None:
    form = form_of(read("/sign-in/clean"))
    del form["csrf_token"]
    before = _rows(database)
    response = client.post(CLEAN, data=form if token is None else form | {"csrf_token": token})
    assert response.status_code == 403
    assert "Open the page again" in response.text
    assert _rows(database) == before


def test_a_token_of_another_session_is_refused(app: Flask, read: Read) -> None:
    form = form_of(read("/sign-in/clean"))
    assert app.test_client().post(CLEAN, data=form).status_code == 403


def test_the_token_may_travel_in_the_header_that_htmx_sends(client: FlaskClient, read: Read) -> None:
    page = read("/sign-in/clean")
    form = form_of(page)
    token = form.pop("csrf_token")
    assert f'"X-CSRFToken": "{token}"' in page.replace("&#34;", '"')
    assert client.post(CLEAN, data=form, headers={"X-CSRFToken": token}).status_code == 303


def test_without_a_secret_key_pages_are_read_and_changes_explained(make_app: MakeApp) -> None:
    client = make_app(SECRET_KEY=None, MELODY_LOGS_KEY="a key of its own").test_client()
    assert client.get(PREFIX + "/sign-in").status_code == 200
    assert "no SECRET_KEY" in client.get(CLEAN).text
    response = client.post(CLEAN)
    assert response.status_code == 403
    assert "SECRET_KEY" in response.text


def test_without_a_session_pages_are_read_and_changes_explained(make_app: MakeApp) -> None:
    class NoSessions(SessionInterface):
        def open_session(self, app: Flask, request: Request) -> None:
            return None

    app = make_app()
    app.session_interface = NoSessions()
    client = app.test_client()
    assert client.get(PREFIX + "/sign-in").status_code == 200
    assert "opens no session" in client.get(CLEAN).text
    assert client.post(CLEAN).status_code == 403


def test_a_host_with_its_own_check_on_https_lets_our_forms_through(make_app: MakeApp) -> None:
    """Flask-WTF asks for a referrer there, so our pages must let browsers send one to their own site."""
    app = make_app()
    CSRFProtect(app)
    client = app.test_client()
    page = client.get(CLEAN, base_url="https://localhost")
    assert page.headers["Referrer-Policy"] == "same-origin"
    headers = {"Referer": "https://localhost" + CLEAN, "Origin": "https://localhost"}
    response = client.post(CLEAN, data=form_of(page.text), headers=headers, base_url="https://localhost")
    assert response.status_code == 303


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_no_other_method_changes_anything(client: FlaskClient, method: str) -> None:
    assert client.open(CLEAN, method=method).status_code == 405
    assert client.open(PREFIX + "/sign-in/1", method=method).status_code == 405
