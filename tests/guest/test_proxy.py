"""A real proxy that strips a path before a real server, and Chromium in front of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from flask import Flask, Response, request
from playwright.sync_api import Page, expect

from melody_logs.clients.registry import create_client
from melody_logs.state import state_of
from tests.docs import code_under
from tests.guest.conftest import API, PAGES, TOKEN, MoveIn, NewHost
from tests.hosts import add_login_view
from tests.storage.rows import message, read_all, sign_in, write

MOUNT = "/tools/app"
#: What a proxy keeps to itself (RFC 9110, section 7.6.1), and what its server says anew.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length", "server", "date"}


def make_proxy(target: str) -> Flask:
    """Make a server that passes on what lies below the mount, without it, and tells so in headers."""
    proxy = Flask("proxy", static_folder=None)

    @proxy.route(f"{MOUNT}/", defaults={"path": ""})
    @proxy.route(f"{MOUNT}/<path:path>", methods=["GET", "POST", "DELETE"])
    def forward(path: str) -> Response:
        headers = {name: value for name, value in request.headers if name.lower() not in HOP_BY_HOP}
        headers |= {
            "X-Forwarded-For": "203.0.113.7",
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": request.host,
            "X-Forwarded-Prefix": MOUNT,
        }
        url = f"{target}/{path}?{request.query_string.decode()}"
        answer = httpx.request(request.method, url, headers=headers, content=request.get_data(), timeout=30)
        kept = [(name, value) for name, value in answer.headers.multi_items() if name not in HOP_BY_HOP]
        plain = [(name, value) for name, value in kept if name != "content-encoding"]
        return Response(answer.content, answer.status_code, plain)

    return proxy


@pytest.fixture
def host(new_host: NewHost, move_in: MoveIn) -> Flask:
    """A host that is set up for its proxy as the guide shows it, with rows."""
    app = new_host()
    app.view_functions.pop("home")
    add_login_view(app)
    move_in(app).watch_sign_in("auth.login")
    exec(code_under("hosts.md", "Behind a proxy"), {"app": app})
    return app


@pytest.fixture
def base(host: Flask, serve: Callable[[Flask], str]) -> str:
    """The address of the host as the world sees it."""
    return serve(make_proxy(serve(host))) + MOUNT


def test_pages_in_a_browser(page: Page, base: str, host: Flask) -> None:
    """Styles, scripts, paging by htmx, a row, a message in its frame, and a Clean up to its receipt."""
    database = state_of(host).database
    write(database, *[sign_in() for _ in range(12)], message(content="<p>hello</p>", content_type="text/html"))
    write(database, sign_in(), age=timedelta(days=40))
    page.goto(f"{base}{PAGES}/sign-in")
    page.evaluate("window.neverReloaded = true")
    page.get_by_role("link", name="Older", exact=True).click()
    expect(page).to_have_url(re.compile(rf"{base}{PAGES}/sign-in\?.*page_number=2"))
    assert page.evaluate("window.neverReloaded") is True
    page.goto(f"{base}{PAGES}/email/1")
    expect(page.frame_locator("iframe").get_by_text("hello")).to_be_visible()
    page.goto(f"{base}{PAGES}/sign-in")
    page.get_by_role("link", name="Clean older than 30 days in the sign-in log").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete 1 sign-in").click()
    expect(page.get_by_role("heading", name="Deleted 1 sign-in")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"{base}{PAGES}/sign-in/clean/\d+"))
    assert len(read_all(database, "sign-in")) == 12


def test_programs_and_visitors(base: str, host: Flask) -> None:
    """Redirects and the next page lead through the proxy, a token is good there, and the address is the visitor's."""
    made = create_client(state_of(host).database, "backend", ["root"])
    with httpx.Client(timeout=30) as client:
        assert client.get(f"{base}{PAGES}").headers["Location"] == f"{base}{PAGES}/"
        form = {"email": "ann@example.org", "password": "right"}
        assert client.post(f"{base}/login", data=form).headers["Location"] == f"{MOUNT}/"
        (row,) = read_all(state_of(host).database, "sign-in")
        assert (row.ip, row.outcome) == ("203.0.113.7", "success")
        asked = {"grant_type": "client_credentials", "scope": "root"}
        answer = client.post(f"{base}{TOKEN}", auth=(made.client_id, made.client_secret), data=asked)
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        write(state_of(host).database, *[message() for _ in range(501)])
        link = client.get(f"{base}{API}/email").headers["Link"]
        followed = link.partition(">")[0].removeprefix("<")
        assert len(client.get(httpx.URL(base).join(followed)).json()["logs"]) == 1
        assert client.delete(f"{base}{API}/sms?before=2025-01-03T01:02:03Z").status_code == 204
