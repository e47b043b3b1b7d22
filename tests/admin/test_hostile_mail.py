"""A hostile message in a real Chromium: it runs nothing, loads nothing, leads nowhere."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from melody_logs.state import state_of
from tests.admin.conftest import PREFIX, MakeApp
from tests.admin.samples import HOSTILE_BODY
from tests.servers.browser import OpenPage
from tests.storage.rows import message, write

SETTLED_MILLISECONDS = 800


class Trap:
    """Counts whoever connects: a request, or only the opening of a connection."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                visitor, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            visitor.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


@pytest.fixture
def base(make_app: MakeApp, serve: Callable[[Flask], str], trap: Trap) -> str:
    """The address of the pages, with one hostile email."""
    app = make_app(filled=False)
    body = HOSTILE_BODY.format(trap=trap.url)
    write(state_of(app).database, message(subject="Hostile", content=body, content_type="text/html"))
    return serve(app) + PREFIX


def _assert_nothing_happened(page: Page, trap: Trap, title: str) -> None:
    page.wait_for_timeout(SETTLED_MILLISECONDS)
    assert trap.connections == 0
    assert page.title() == title
    assert len(page.context.pages) == 1


def test_the_trap_notices_a_visitor(trap: Trap, page: Page, page_problems: list[str]) -> None:
    page.set_content(f'<img src="{trap.url}/pixel.png">')
    page.wait_for_timeout(SETTLED_MILLISECONDS)
    assert trap.connections > 0
    page_problems.clear()


def test_nothing_runs_and_nothing_is_requested_in_the_viewer(
    page: Page, base: str, trap: Trap, page_problems: list[str]
) -> None:
    page.goto(f"{base}/email/1")
    frame = page.frame_locator("iframe")
    expect(frame.locator("#seen")).to_have_text("Hello from the body")
    _assert_nothing_happened(page, trap, "Email 1 · Melody Logs")
    frame.locator("#send").click()
    frame.locator("#link").click()
    _assert_nothing_happened(page, trap, "Email 1 · Melody Logs")
    assert page.url == f"{base}/email/1"
    page_problems.clear()  # the browser reports each thing that it blocked


@pytest.mark.parametrize("script", [True, False])
def test_nothing_runs_and_nothing_is_requested_when_the_body_is_opened_alone(
    open_page: OpenPage, base: str, trap: Trap, page_problems: list[str], script: bool
) -> None:
    page = open_page(java_script_enabled=script)
    page.goto(f"{base}/email/1/body")
    expect(page.locator("#seen")).to_have_text("Hello from the body")
    page.locator("#send").click()
    _assert_nothing_happened(page, trap, "")
    if script:
        assert page.evaluate("window.origin") == "null"
    page_problems.clear()


def test_the_text_and_the_source_load_nothing_either(page: Page, base: str, trap: Trap) -> None:
    for view in ("text", "source"):
        page.goto(f"{base}/email/1?view={view}")
        expect(page.get_by_text("Hello from the body")).to_be_visible()
        _assert_nothing_happened(page, trap, "Email 1 · Melody Logs")
