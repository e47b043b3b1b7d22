"""A host whose visitors come by real HTTP while something is wrong with its logs."""

from __future__ import annotations

import html
import json
import re
from collections import Counter

import httpx
from flask import Flask

from melody_logs.state import state_of
from tests.guest.conftest import API, PAGES, TOKEN
from tests.storage.rows import read_all

#: Long enough for a busy machine; who waits for a database that does not answer waits for ten seconds.
PROMPT_SECONDS = 9.0


FORM = {"grant_type": "client_credentials", "scope": "read_log"}


class TroubledHost:
    """A host with a login view that melody_logs watches, served on *url*."""

    def __init__(self, app: Flask, url: str) -> None:
        self.app = app
        self.url = url

    def sign_in(self, *names: str) -> None:
        """Let people sign in; each must be answered as if nothing were wrong."""
        for name in names:
            form = {"email": f"{name}@example.org", "password": "right"}
            answer = httpx.post(f"{self.url}/login", data=form, timeout=PROMPT_SECONDS)
            assert (answer.status_code, answer.headers["Location"]) == (302, "/")
        assert httpx.get(f"{self.url}/", timeout=PROMPT_SECONDS).text == "home"

    def command(self, *arguments: str, exit_code: int = 0) -> str:
        """Run ``flask melody-logs ...`` and return what it printed, which is never a traceback."""
        done = self.app.test_cli_runner().invoke(args=["melody-logs", *arguments])
        assert done.exit_code == exit_code, (done.output, done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.output

    def find_bad(self, name: str) -> str:
        """Give the sentence and the remedy of a finding, which the command calls bad and the page shows too."""
        report = json.loads(self.command("health", "--json", exit_code=1))
        (found,) = [entry for entry in report["findings"] if entry["name"] == name]
        assert found["level"] == "bad" and found["text"] and found["remedy"], found
        page = html.unescape(httpx.get(f"{self.url}{PAGES}/health", timeout=30).text)
        # The page begins it with a capital.
        assert found["remedy"][1:] in page
        return f"{found['text']}: {found['remedy']}"

    def assert_pages_are_closed(self) -> None:
        """Check that the list says that it cannot be read now."""
        page = httpx.get(f"{self.url}{PAGES}/sign-in", timeout=30)
        assert page.status_code == 503
        assert "Recording goes on" in page.text

    def assert_api_is_closed(self) -> None:
        """Check that programs are told, in their form, that the logs cannot be read now."""
        refused = httpx.post(f"{self.url}{TOKEN}", auth=("mlc_none", "none"), data=FORM, timeout=30)
        assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/problem+json")
        assert httpx.get(f"{self.url}{API}/email", timeout=30).status_code == 401

    def assert_waiting(self, count: int) -> None:
        """Check that everything so far waits in the spool."""
        waiting = state_of(self.app).spool.waiting()
        assert (waiting.entries, waiting.dead_letters) == (count, 0)

    def assert_recorded(self, *names: str) -> None:
        """Drain and check that these sign-ins, and no others, are in the log, each once."""
        self.command("drain")
        rows = read_all(state_of(self.app).database, "sign-in")
        assert Counter(row.identity for row in rows) == Counter(f"{name}@example.org" for name in names)
        self.assert_waiting(0)


def one_sentence(text: str) -> str:
    """Check that a message is one sentence with a remedy after its colon, and give it."""
    assert "\n" not in text.strip() and "Traceback" not in text
    assert re.search(r": \S", text), text
    return text.strip()
