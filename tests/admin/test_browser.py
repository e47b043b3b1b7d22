"""The pages in a real Chromium, with and without JavaScript; any violation of our policy fails the test."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import update

from melody_logs.jobs.clean import request_clean
from melody_logs.storage.database import Database
from melody_logs.storage.models import Job
from melody_logs.storage.queries import Filters, count_rows
from tests.admin.conftest import PREFIX
from tests.servers.browser import OpenPage

Serve = Callable[[Flask], str]


@pytest.fixture
def base(app: Flask, serve: Serve) -> str:
    """The address of the pages."""
    return serve(app) + PREFIX


@pytest.fixture
def plain_page(open_page: OpenPage) -> Page:
    """A page without JavaScript."""
    return open_page(java_script_enabled=False)


def _queue_leased_job(database: Database) -> int:
    """Order a clean-up that somebody else holds, so that looking at it does not work on it."""
    with database.read() as connection:
        now = database.now(connection)
    job = request_clean(database, "sign-in", now - timedelta(days=30), actor="worker")
    with database.transaction() as connection:
        connection.execute(update(Job).values(lease_until=now + timedelta(hours=1), lease_owner="somebody"))
    return job.id


def _release(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(update(Job).values(lease_until=None, lease_owner=None))


def test_paging_swaps_the_rows_and_keeps_history_and_focus(page: Page, base: str) -> None:
    page.goto(f"{base}/sign-in")
    page.evaluate("window.neverReloaded = true")
    older = page.get_by_role("link", name="Older", exact=True)
    older.click()
    expect(page).to_have_url(re.compile(r"page_number=2"))
    expect(page.get_by_text("11\N{EN DASH}20 of 49")).to_be_visible()
    expect(older).to_be_focused()
    page.get_by_role("link", name="25", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(25)
    page.go_back()
    expect(page.get_by_text("11\N{EN DASH}20 of 49")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(10)
    assert page.evaluate("window.neverReloaded") is True
    expect(page.locator("main")).to_have_count(1)


def test_paging_works_without_javascript(plain_page: Page, base: str) -> None:
    plain_page.goto(f"{base}/sign-in")
    plain_page.get_by_role("link", name="Older", exact=True).click()
    expect(plain_page.get_by_text("11\N{EN DASH}20 of 49")).to_be_visible()
    plain_page.get_by_role("link", name="All events").click()
    expect(plain_page.get_by_text("50 events")).to_be_visible()


@pytest.mark.parametrize("column", range(6))
def test_every_cell_of_a_row_leads_to_its_details(page: Page, base: str, column: int) -> None:
    page.goto(f"{base}/sign-in")
    cell = page.locator("tbody tr").nth(1).locator("td").nth(column).bounding_box()
    assert cell is not None
    page.mouse.click(cell["x"] + cell["width"] - 12, cell["y"] + cell["height"] / 2)
    expect(page).to_have_url(f"{base}/sign-in/48")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign-in 48")


def test_a_value_can_be_copied(page: Page, base: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{base}/sign-in/13")
    page.get_by_text("203.0.113.77").hover()
    page.get_by_role("button", name="Copy Address").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "203.0.113.77"


def test_clean_goes_from_the_button_through_the_dialog_to_the_receipt(
    page: Page, base: str, database: Database
) -> None:
    page.goto(f"{base}/sign-in")
    button = page.get_by_role("link", name="Clean older than 30 days in the sign-in log")
    button.click()
    dialog = page.get_by_role("dialog", name="Delete 12 sign-ins older than 30 days")
    expect(dialog).to_be_visible()
    cancel = dialog.get_by_role("link", name="Cancel")
    expect(cancel).to_be_focused()
    cancel.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    button.click()
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    button.click()
    dialog.get_by_role("button", name="Delete 12 sign-ins").dblclick(no_wait_after=True)
    expect(page.get_by_role("heading", name="Deleted 12 sign-ins")).to_be_visible()
    assert count_rows(database, "sign-in", Filters(events=None)) == 38


def test_clean_works_without_javascript(plain_page: Page, base: str, database: Database) -> None:
    plain_page.goto(base + "/")
    plain_page.get_by_role("link", name="Clean older than 30 days in the sign-in log").click()
    expect(plain_page.get_by_role("heading", name="Delete 12 sign-ins older than 30 days")).to_be_visible()
    plain_page.get_by_role("button", name="Delete 12 sign-ins").click()
    expect(plain_page.get_by_role("heading", name="Deleted 12 sign-ins")).to_be_visible()
    assert count_rows(database, "sign-in", Filters(events=None)) == 38


@pytest.mark.parametrize("script", [True, False])
def test_progress_follows_a_running_job_to_its_receipt(
    open_page: OpenPage, base: str, database: Database, script: bool
) -> None:
    """Polled by htmx in place; without JavaScript the page loads itself again."""
    job_id = _queue_leased_job(database)
    page = open_page(java_script_enabled=script)
    page.goto(f"{base}/sign-in/clean/{job_id}")
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_text("0 of 12")).to_be_visible()
    _release(database)
    expect(page.get_by_role("heading", name="Deleted 12 sign-ins")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_the_menu_opens_on_a_narrow_screen_and_nothing_is_wider_than_it(open_page: OpenPage, base: str) -> None:
    page = open_page(viewport={"width": 320, "height": 640})
    for path in (
        "/",
        "/sign-in",
        "/sign-in/13",
        "/email/4",
        "/email/4?view=source",
        "/retention",
        "/health",
        "/sms/clean",
    ):
        page.goto(base + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    page.get_by_text("Menu", exact=True).click()
    page.get_by_role("link", name="Retention").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Retention")


def test_the_keyboard_reaches_the_content_first_by_the_skip_link(page: Page, base: str) -> None:
    page.goto(base + "/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
