"""The same report by the command and on the pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import expect
from werkzeug.middleware.proxy_fix import ProxyFix

from melody_logs.integrations import FlaskSecurity
from melody_logs.state import state_of
from melody_logs.storage.progress import note_heartbeat
from tests.admin.test_accessibility import assert_accessible
from tests.cli.test_commands import run
from tests.hosts import close_host, make_host
from tests.servers.browser import OpenPage
from tests.storage.rows import sign_in, write

PAGES = "/admin/logs"
LEAD = "The logs miss something, or have it wrong:</b>"
HOSTILE = "<script>alert(1)</script>\u202etoken"


@pytest.fixture
def app(database_url: str, tmp_path: Any) -> Iterator[Flask]:
    """A host with a view that leaves no trace, and nothing else."""
    app = make_silent_app(database_url, tmp_path)
    yield app
    close_host(app)


def make_silent_app(url: str, tmp_path: Any) -> Flask:
    app, logs = make_host(url, tmp_path=tmp_path)
    logs.admin_access(lambda: "write")
    app.add_url_rule("/login", "auth.login", lambda: "…", methods=["POST"])
    with state_of(app).database.write() as connection:
        for part in ("worker", "beat"):
            note_heartbeat(connection, part, state_of(app).database.now(connection))
    return app


def watch(app: Flask) -> None:
    state_of(app).seams.watched_views["auth.login"] = object()


def test_command_says_what_leaves_no_trace(app: Flask) -> None:
    result = run(app, "doctor")
    assert result.exit_code == 1
    assert "Logs: Email on, SMS on, Sign-ins on" in result.output
    assert 'POST /login ("auth.login") looks like a sign-in and leaves no trace' in result.output
    assert 'do:   logs.watch_sign_in("auth.login")' in result.output
    report = json.loads(run(app, "doctor", "--json").output)
    assert (report["well"], report["logs"]["email"], report["integrations"]) == (False, True, [])
    (finding,) = report["findings"]
    assert (finding["name"], finding["level"]) == ("Sign-in views", "warning")
    assert finding["evidence"] and finding["remedy"]


def test_command_is_content_with_a_covered_app(app: Flask) -> None:
    watch(app)
    result = run(app, "doctor")
    assert (result.exit_code, "Nothing that leaves no trace was found." in result.output) == (0, True)
    assert json.loads(run(app, "doctor", "--json").output)["well"] is True


def test_command_sees_what_web_processes_have_noted(app: Flask) -> None:
    watch(app)
    write(state_of(app).database, *[sign_in(ip="10.0.0.2", marks="ip:forwarded_2") for _ in range(5)])
    result = run(app, "doctor")
    assert "app.wsgi_app = ProxyFix(app.wsgi_app, x_for=2, x_proto=1, x_host=1)" in result.output.splitlines()


def test_banner_leads_to_the_report_until_it_is_well(app: Flask) -> None:
    client = app.test_client()
    for path in ("/", "/sign-in", "/retention"):
        assert f'{LEAD} Sign-in views. <a href="{PAGES}/health#ml-coverage">' in client.get(PAGES + path).text
    health = client.get(f"{PAGES}/health").text
    assert LEAD not in health and "leaves no trace" in health and "logs.watch_sign_in(&#34;auth.login&#34;)" in health
    watch(app)
    # The Health page looks anew, and the banner goes with what it has found.
    assert "Nothing that leaves no trace was found." in client.get(f"{PAGES}/health").text
    assert LEAD not in client.get(f"{PAGES}/sign-in").text


def test_banner_looks_seldom(sqlite_url: str, tmp_path: Any) -> None:
    app = make_silent_app(sqlite_url, tmp_path)
    client = app.test_client()
    assert LEAD in client.get(f"{PAGES}/sign-in").text
    seen = state_of(app).seen_coverage
    client.get(f"{PAGES}/sign-in")
    assert state_of(app).seen_coverage is seen
    close_host(app)


def test_nobody_who_may_not_read_is_told(sqlite_url: str, tmp_path: Any) -> None:
    app = make_silent_app(sqlite_url, tmp_path)
    state_of(app).seams.admin_access = lambda: None
    assert LEAD not in app.test_client().get(f"{PAGES}/sign-in").text
    assert state_of(app).seen_coverage is None
    close_host(app)


def test_proxy_note_stands_on_the_page_of_its_row(sqlite_url: str, tmp_path: Any) -> None:
    app = make_silent_app(sqlite_url, tmp_path)
    write(state_of(app).database, sign_in(marks="ip:forwarded_2 ip:mapped"))
    page = app.test_client().get(f"{PAGES}/sign-in/1").text
    assert "whom the app does not ask for" in page and "came as IPv4 inside IPv6" in page
    close_host(app)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_report_is_accessible_and_fits(
    sqlite_url: str,
    tmp_path: Any,
    serve: Callable[[Flask], str],
    open_page: OpenPage,
    width: int,
    scheme: str,
) -> None:
    app = make_silent_app(sqlite_url, tmp_path)
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    app.add_url_rule("/token/\u202eevil", HOSTILE.replace(".", ""), lambda: "…", methods=["POST"])
    rows = [sign_in(ip="104.16.0.7", user_id=str(number), marks="ip:zone") for number in range(9)]
    write(state_of(app).database, *rows)
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 740})
    base = serve(app) + PAGES
    for path in ("/sign-in", "/health"):
        page.goto(base + path)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.get_by_text("x_for=2")).to_be_visible()
    assert "\u202e" not in page.content()
    close_host(app)


@pytest.mark.parametrize("width", [1280, 360])
def test_connected_libraries_are_named_first_and_in_full(
    sqlite_url: str, tmp_path: Any, serve: Callable[[Flask], str], open_page: OpenPage, width: int
) -> None:
    app = make_silent_app(sqlite_url, tmp_path)
    state_of(app).integrations["flask-security"] = FlaskSecurity()
    page = open_page(viewport={"width": width, "height": 740})
    page.goto(f"{serve(app)}{PAGES}/health")
    name, version, _, records = page.get_by_role("row", name="flask-security").locator("td").all()
    (first, second) = [cell.evaluate("cell => [cell.offsetTop, cell.offsetLeft]") for cell in (name, version)]
    assert first < second
    assert records.evaluate("cell => cell.scrollWidth <= cell.clientWidth")
    close_host(app)
