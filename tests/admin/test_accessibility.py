"""Every page passes axe, in light and in dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Page, expect

from melody_logs.state import state_of
from tests.admin.conftest import PREFIX, MakeApp
from tests.admin.samples import counted_sign_in
from tests.admin.test_forgery import form_of
from tests.servers.browser import OpenPage
from tests.storage.rows import write

PAGES = (
    "/",
    "/sign-in?page_number=2",
    "/sign-in/13",
    "/email/4?view=text",
    "/email/4",
    "/sms",
    "/retention",
    "/health",
)


def assert_accessible(page: Page) -> None:
    """Let axe look at what the page shows."""
    report = Axe().run(page)
    assert report.violations_count == 0, f"{page.url}\n{report.generate_report()}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(
    make_app: MakeApp, serve: Callable[[Flask], str], open_page: OpenPage, page_problems: list[str], scheme: str
) -> None:
    app = make_app()
    base = serve(app) + PREFIX
    page = open_page(color_scheme=scheme)
    client = app.test_client()
    client.post(f"{PREFIX}/sign-in/clean", data=form_of(client.get(f"{PREFIX}/sign-in/clean").text))
    for path in (*PAGES, "/sign-in/clean/1", "/sms/clean"):
        page.goto(base + path)
        assert_accessible(page)
    page.goto(f"{base}/sign-in")
    page.get_by_role("link", name="Clean older than").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert_accessible(page)
    assert page_problems == []
    page.goto(f"{base}/email/999")
    assert_accessible(page)
    page_problems.clear()  # the console notes the 404 of the page itself


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_counted_row_and_its_samples_are_accessible_and_fit(
    make_app: MakeApp, serve: Callable[[Flask], str], open_page: OpenPage, width: int, scheme: str
) -> None:
    app = make_app(filled=False)
    write(state_of(app).database, counted_sign_in())
    base = serve(app) + PREFIX
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 740})
    for path in ("/sign-in", "/sign-in/1"):
        page.goto(base + path)
        expect(page.get_by_text("Failed \N{MULTIPLICATION SIGN} 7").first).to_be_visible()
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.get_by_role("table", name="Samples")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_and_empty_pages_are_accessible(
    make_app: MakeApp, serve: Callable[[Flask], str], open_page: OpenPage, scheme: str
) -> None:
    base = serve(make_app(filled=False)) + PREFIX
    page = open_page(color_scheme=scheme, viewport={"width": 360, "height": 740})
    for path in ("/", "/sign-in"):
        page.goto(base + path)
        page.get_by_text("Menu", exact=True).click()
        assert_accessible(page)
