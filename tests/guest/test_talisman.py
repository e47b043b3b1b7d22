"""Hosts with Flask-Talisman: our pages keep their own policy, everything else keeps the host's headers."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_talisman import Talisman

from melody_logs.admin.headers import BODY_POLICY, PAGE_POLICY
from melody_logs.state import state_of
from tests.guest.conftest import API, CLEAN, PAGES, MoveIn, NewHost, bearer, read_form
from tests.hosts import add_login_view
from tests.storage.rows import message, read_all, write

SECURE: dict[str, Any] = {"base_url": "https://localhost"}
THEIRS = "default-src 'self'; img-src cdn.example"


def protect(app: Flask) -> None:
    """Set the host's policy and let nobody frame it."""
    Talisman(app, content_security_policy=THEIRS, frame_options="DENY", permissions_policy={"camera": "()"})


@pytest.fixture(params=["before", "after"])
def host(request: pytest.FixtureRequest, new_host: NewHost, move_in: MoveIn) -> Flask:
    """A host whose Talisman is initialised before melody_logs or after it."""
    app = new_host()
    if request.param == "before":
        protect(app)
    move_in(app)
    if request.param == "after":
        protect(app)
    return app


@pytest.mark.parametrize("path", ["/", "/sign-in", "/email/99", "/sms/clean", "/health"])
def test_our_pages_keep_their_policy(host: Flask, path: str) -> None:
    """The host's would stop nothing that ours forbids, but forbid the images of ours."""
    headers = host.test_client().get(PAGES + path, **SECURE).headers
    assert headers.getlist("Content-Security-Policy") == [PAGE_POLICY]
    assert "X-Frame-Options" not in headers, "the policy's frame-ancestors says it, and lets our viewer frame a body"
    assert headers["Permissions-Policy"] == "camera=()"
    assert "Strict-Transport-Security" in headers


def test_stored_message_keeps_its_sandbox(host: Flask) -> None:
    write(state_of(host).database, message())
    headers = host.test_client().get(f"{PAGES}/email/1/body", **SECURE).headers
    assert headers.getlist("Content-Security-Policy") == [BODY_POLICY]
    assert "X-Frame-Options" not in headers


def test_our_forms_work_on_https(host: Flask) -> None:
    client = host.test_client()
    form = read_form(client, **SECURE)
    assert client.post(CLEAN, data=form, **SECURE).status_code == 303


def test_headers_of_the_host_are_what_they_were(host: Flask, new_host: NewHost) -> None:
    plain = new_host("plain")
    protect(plain)
    for path in ("/", "/nothing"):
        mine, theirs = (app.test_client().get(path, **SECURE) for app in (host, plain))
        assert sorted(mine.headers) == sorted(theirs.headers)
        assert mine.headers["Content-Security-Policy"] == THEIRS


def test_http_is_sent_to_https_by_the_host_and_programs_work_there(host: Flask) -> None:
    client = host.test_client()
    for path in (f"{PAGES}/", f"{API}/email"):
        answer = client.get(path)
        assert (answer.status_code, answer.location) == (302, f"https://localhost{path}")
    answer = client.get(f"{API}/email", headers=bearer(host, **SECURE), **SECURE)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"


def test_two_hosts_with_other_policies_do_not_share_ours(new_host: NewHost, move_in: MoveIn) -> None:
    """Talisman writes into the options that it finds on a view."""
    first, second = new_host("first"), new_host("second")
    Talisman(first, permissions_policy={"camera": "()"})
    Talisman(second, permissions_policy={"camera": "(self)"}, force_https=False)
    for app in (first, second):
        move_in(app)
    assert first.test_client().get(f"{PAGES}/", **SECURE).headers["Permissions-Policy"] == "camera=()"
    assert second.test_client().get(f"{PAGES}/").headers["Permissions-Policy"] == "camera=(self)"


def test_host_with_nonces_and_exceptions_of_its_own_keeps_them(new_host: NewHost, move_in: MoveIn) -> None:
    """And its sign-ins are recorded, those only that came by HTTPS."""
    app = new_host()
    app.view_functions.pop("home")
    add_login_view(app)
    nonces = {"content_security_policy_nonce_in": ["script-src"]}
    talisman = Talisman(app, content_security_policy={"script-src": "'self'"}, **nonces)

    @app.get("/framed")
    @talisman(frame_options="ALLOW-FROM", frame_options_allow_from="https://partner.example")
    def framed() -> str:
        return "framed"

    move_in(app).watch_sign_in("auth.login")
    client = app.test_client()
    assert "nonce-" in client.get("/", **SECURE).headers["Content-Security-Policy"]
    assert client.get("/framed", **SECURE).headers["X-Frame-Options"] == "ALLOW-FROM https://partner.example"
    assert client.get(f"{PAGES}/", **SECURE).headers["Content-Security-Policy"] == PAGE_POLICY
    form = {"email": "ann@example.org", "password": "right"}
    answer = client.post("/login", data=form, **SECURE)
    assert answer.status_code == 302
    assert "Secure" in answer.headers["Set-Cookie"]
    assert [row.outcome for row in read_all(state_of(app).database, "sign-in")] == ["success"]
