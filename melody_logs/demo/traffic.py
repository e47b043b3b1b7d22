"""The demo's background traffic: people who sign in, mistype, forget and guess, about one every second or two."""

from __future__ import annotations

import http.cookiejar
import logging
import random
import re
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from types import FrameType

from .accounts import TEXT_STEP_PEOPLE
from .configuration import DemoConfiguration, data_dir_of_environment, load_configuration
from .lifeline import end_with_supervisor
from .messages import fetch_received
from .visitors import PLAIN_PEOPLE, UNKNOWN_NAMES, choose_deed, guessing_place, home_of

logger = logging.getLogger(__name__)

FIRST_VISITS = 40
PAUSE_SECONDS = (0.8, 2.2)
_CSRF_FIELD = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


class Visitor:
    """A browser without a screen: its own cookies, address and device."""

    def __init__(self, base_url: str, address: str, device: str) -> None:
        self._base_url = base_url
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
        self._opener.addheaders = [("User-Agent", device), ("X-Forwarded-For", address)]

    def submit(self, path: str, **fields: str) -> str:
        """Open a page, fill in its form and send it; return the path of the page it leads to."""
        token = _CSRF_FIELD.search(self._open(path)[1])
        body = urllib.parse.urlencode({**fields, "csrf_token": token[1] if token else ""}).encode()
        return urllib.parse.urlsplit(self._open(path, body)[0]).path

    def _open(self, path: str, body: bytes | None = None) -> tuple[str, str]:
        try:
            with self._opener.open(self._base_url + path, body, timeout=15) as response:
                return response.url, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.url or path, error.read().decode()


class Traffic:
    """What the visitors do."""

    def __init__(self, base_url: str, configuration: DemoConfiguration, chance: random.Random) -> None:
        self._base_url = base_url
        self._configuration = configuration
        self._chance = chance
        self._password = configuration.people_password

    def play_one(self) -> None:
        """Let one visitor do something."""
        getattr(self, f"_play_{choose_deed(self._chance)}")()

    def _play_sign_in(self) -> None:
        name = self._chance.choice(PLAIN_PEOPLE)
        visitor = self._visit(name)
        visitor.submit("/sign-in", email=f"{name}@example.org", password=self._password)

    def _play_wrong_password(self) -> None:
        name = self._chance.choice(PLAIN_PEOPLE)
        visitor = self._visit(name)
        visitor.submit("/sign-in", email=f"{name}@example.org", password=self._password[:-1])
        if self._chance.random() < 0.6:
            visitor.submit("/sign-in", email=f"{name}@example.org", password=self._password)

    def _play_guess(self) -> None:
        visitor = Visitor(self._base_url, *guessing_place(self._chance))
        for name in self._chance.sample(UNKNOWN_NAMES, self._chance.randint(1, 3)):
            visitor.submit("/sign-in", email=f"{name}@example.org", password="123456")

    def _play_text_step(self) -> None:
        name = self._chance.choice(sorted(TEXT_STEP_PEOPLE))
        visitor = self._visit(name)
        if visitor.submit("/sign-in", email=f"{name}@example.org", password=self._password) != "/sign-in/code":
            return
        code = self._read_newest(TEXT_STEP_PEOPLE[name], r"code is ([0-9]{6})")
        if self._chance.random() < 0.25:
            visitor.submit("/sign-in/code", code="000000")
        if code:
            visitor.submit("/sign-in/code", code=code)

    def _play_reset(self) -> None:
        name = self._chance.choice(PLAIN_PEOPLE)
        visitor = self._visit(name)
        visitor.submit("/forgot-password", email=f"{name}@example.org")
        path = self._read_newest(f"{name}@example.org", r"(/reset-password/\S+)")
        if path and self._chance.random() < 0.7:
            # The password stays the same, so that a visitor of the demo can go on signing in as this person.
            visitor.submit(path, password=self._password)

    def _play_full_mailbox(self) -> None:
        visitor = self._visit("full")
        visitor.submit("/forgot-password", email="full@example.org")

    def _visit(self, name: str) -> Visitor:
        return Visitor(self._base_url, *home_of(name, self._chance))

    def _read_newest(self, receiver: str, pattern: str) -> str | None:
        for message in fetch_received(self._configuration):
            if message["to"] == receiver:
                found = re.search(pattern, message["text"])
                return found[1] if found else None
        return None


def main() -> None:
    """Play until SIGTERM, or until the supervisor is gone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGTERM, _exit)
    end_with_supervisor()
    traffic = Traffic(sys.argv[1], load_configuration(data_dir_of_environment()), random.Random())
    burst = FIRST_VISITS
    while True:
        try:
            traffic.play_one()
        except OSError as error:
            logger.warning("a visit failed: %s", error)
            burst = 0
        burst -= 1
        if burst <= 0:
            time.sleep(random.uniform(*PAUSE_SECONDS))


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
