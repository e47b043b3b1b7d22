"""A real Chromium for the tests: one browser a test process, a fresh context for each page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

from .availability import missing
from .binaries import chromium_binaries

ADDRESS_VARIABLE = "TEST_CHROMIUM"
# Flags for a container without a GPU and for silence towards the outside.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGE_TIMEOUT_MILLISECONDS = 30_000
#: What a busy machine may need before a page shows what is expected of it.
expect.set_options(timeout=20_000)


class OpenPage(Protocol):
    """Opens a page in a browser context of its own; keywords go to playwright's ``new_context``."""

    def __call__(self, **context_options: Any) -> Page: ...


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    given = os.environ.get(ADDRESS_VARIABLE)
    path = Path(given) if given else next((found.path for found in chromium_binaries()), None)
    if path is None:
        missing("Chromium", f"Set {ADDRESS_VARIABLE}, or let `make test` install it (as root), or install 'chromium'.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page_problems() -> Iterator[list[str]]:
    """What the pages of the test complained about; the test fails with it unless it clears the list itself."""
    problems: list[str] = []
    yield problems
    if problems:
        pytest.fail("The browser reported problems:\n" + "\n".join(problems), pytrace=False)


@pytest.fixture
def open_page(browser: Browser, page_problems: list[str], serve: object) -> Iterator[OpenPage]:
    """A function that opens a page in a fresh context, e.g. ``open_page(java_script_enabled=False)``.

    It asks for `serve` so that the pages close before the apps they look at: a request still under way is no problem.

    Console errors and warnings (violations of the Content-Security-Policy among them), uncaught exceptions and
    requests that got no answer are collected in `page_problems`.
    """
    contexts = []

    def open_one(**context_options: Any) -> Page:
        context = browser.new_context(**context_options)
        contexts.append(context)
        context.set_default_timeout(PAGE_TIMEOUT_MILLISECONDS)
        page = context.new_page()
        _collect_problems(page, page_problems)
        return page

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page in a fresh browser context; the test fails when it reports a problem (see `page_problems`)."""
    return open_page()


def _collect_problems(page: Page, problems: list[str]) -> None:
    def note_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            problems.append(f"console {message.type} on {page.url}: {message.text}")

    def note_exception(error: Error) -> None:
        problems.append(f"exception on {page.url}: {error.message}")

    page.on("console", note_console)
    page.on("pageerror", note_exception)
