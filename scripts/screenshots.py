"""Renew the pictures in docs/images/ from a demo that runs on a free port with data of its own: ``make screenshots``.

It needs Chromium: the one named in ``TEST_CHROMIUM``, or the first that the tests would find.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.servers.binaries import chromium_binaries
from tests.servers.browser import FLAGS

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT, TALL = 1280, 820, 900
READY_SECONDS = 90
#: This many sign-ins are made older; then more visitors come.
OLDER_ROWS, LATE_SECONDS = 30, 60
OLDER_DAYS = 40
SHORT_PAGES = (("retention", "retention", 420), ("health", "health", 430), ("sign-ins", "sign-in", 560))
#: The worker looks for locations every two seconds.
LOCATED_SECONDS = 4
#: Gives the admin an address with a place.
HOME = {"X-Forwarded-For": "81.2.69.142"}


def main() -> None:
    """Start the demo, let visitors come, and take every picture."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="melody_logs-") as folder, running_demo(Path(folder)) as facts:
        make_rows_older(Path(folder) / "host-logs.db")
        time.sleep(LATE_SECONDS)
        clean_some_texts(facts)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
            take_pictures(browser, facts)
            browser.close()


@contextmanager
def running_demo(folder: Path) -> Iterator[dict[str, Any]]:
    """Run the demo with its data in *folder*, and end it; gives what its ``demo.json`` says."""
    program = "from melody_logs.cli.program import main; main()"
    command = [sys.executable, "-c", program, "demo", "--port", "0", "--data-dir", str(folder)]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + READY_SECONDS
        while not (folder / "demo.json").exists():
            if demo.poll() is not None or time.monotonic() > end:
                raise SystemExit(f'the demo did not start: see "{folder}/logs"')
            time.sleep(0.2)
        yield json.loads((folder / "demo.json").read_text("utf-8"))
    finally:
        demo.terminate()
        demo.wait(30)


def make_rows_older(path: Path) -> None:
    """Wait for some rows and make them older, with their totals, so that there is something to clean."""
    while count_sign_ins(path) < OLDER_ROWS:
        time.sleep(0.2)
    older = f"'-{OLDER_DAYS} days'"
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        for kind in ("sign_in", "email", "sms"):
            for column in ("occurred_at", "recorded_at", "updated_at"):
                moved = f"strftime('%Y-%m-%d %H:%M:%f', {column}, {older}) || '000'"
                connection.execute(f"UPDATE melody_{kind}_log SET {column} = {moved}")
        for table, column in (("hourly", "hour"), ("country", "day")):
            moved = f"strftime('%Y-%m-%d %H:%M:%f', {column}, {older}) || '000'"
            connection.execute(f"UPDATE melody_{table}_total SET {column} = {moved}")


def count_sign_ins(path: Path) -> int:
    """Count the sign-ins in the log database at *path*."""
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        count: int = connection.execute("SELECT count(*) FROM melody_sign_in_log").fetchone()[0]
    return count


def clean_some_texts(facts: dict[str, Any]) -> None:
    """Delete the older text messages by the API, so that there is a receipt to see."""
    body = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "root"}).encode()
    manager = urllib.request.HTTPPasswordMgrWithPriorAuth()
    manager.add_password(None, facts["url"], facts["client_id"], facts["client_secret"], is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPBasicAuthHandler(manager))
    with opener.open(f"{facts['url']}/oauth2/v1/token", body) as answer:
        token = json.load(answer)["access_token"]
    before = urllib.parse.quote(datetime.fromtimestamp(time.time() - 2 * 86_400, UTC).isoformat())
    request = urllib.request.Request(f"{facts['url']}/api/v1/logs/sms?before={before}", method="DELETE")
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request):
        pass


def take_pictures(browser: Browser, facts: dict[str, Any]) -> None:
    """Take each picture, the overview in both colours."""
    page = sign_in(browser, facts, "light")
    take(page, "logs-light")
    page.click("text=Clean older than >> nth=0")
    page.wait_for_selector("dialog[open]")
    take(page, "clean-light")
    for name, path, height in SHORT_PAGES:
        page.set_viewport_size({"width": WIDTH, "height": height})
        page.goto(facts["admin_url"] + path)
        take(page, f"{name}-light")
    page.set_viewport_size({"width": WIDTH, "height": TALL})
    page.click("tbody a >> nth=0")
    page.wait_for_selector(".ml-groups")
    take(page, "sign-in-light")
    page.goto(facts["admin_url"] + "sms")
    show_story(page)
    take(page, "story-light")
    page.goto(facts["admin_url"] + "email")
    page.click("tbody tr:has-text('Sent') a >> nth=0")
    page.wait_for_selector("iframe")
    take(page, "email-light")
    page.context.close()
    take(sign_in(browser, facts, "dark"), "logs-dark")


def show_story(page: Page) -> None:
    """Open the newest row of the list that has a story of some steps, and scroll to it."""
    rows = page.locator("tbody a").evaluate_all("links => links.map(link => link.href)")
    for address in dict.fromkeys(rows):
        page.goto(address)
        if page.locator(".ml-story li").count() > 2:
            page.locator(".ml-story").scroll_into_view_if_needed()
            return
    raise SystemExit("no row of the list has a story")


def sign_in(browser: Browser, facts: dict[str, Any], colours: Any) -> Page:
    """Open a window, sign in as the demo's admin and go to the pages."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=colours, extra_http_headers=HOME
    )
    page = context.new_page()
    page.goto(facts["url"] + "/sign-in")
    page.fill("[name=email]", facts["admin_email"])
    page.fill("[name=password]", facts["admin_password"])
    page.press("[name=password]", "Enter")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(LOCATED_SECONDS * 1000)
    page.goto(facts["admin_url"])
    return page


def take(page: Page, name: str) -> None:
    """Save what the window shows."""
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png", flush=True)


def find_chromium() -> str:
    """Find a Chromium.

    :raise SystemExit: if there is none.
    """
    named = os.environ.get("TEST_CHROMIUM") or next((str(found.path) for found in chromium_binaries()), None)
    if named is None:
        raise SystemExit('no Chromium was found: name one in "TEST_CHROMIUM", or install the package "chromium"')
    return named


if __name__ == "__main__":
    main()
