"""A running demo for the tests, and a browser without a screen for it."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.servers.processes import Process, wait_until

READY_SECONDS = 60.0
#: A busy machine answers late; what a test says about time, it says itself.
PATIENCE_SECONDS = 60.0
MAIN = "from melody_logs.cli.program import main; main()"
_CSRF_FIELD = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


class Demo:
    """A demo on a free port with its data in *folder*; its supervisor is a child of the tests."""

    def __init__(self, folder: Path, *arguments: str, traffic: bool = False) -> None:
        self.data_dir = folder / "data"
        options = ["--port", "0", "--data-dir", str(self.data_dir), *arguments]
        options += [] if traffic else ["--no-traffic"]
        self._visitors: list[Visitor] = []
        self.process = Process([sys.executable, "-c", MAIN, "demo", *options], folder=folder, name="demo")

    def start(self) -> Demo:
        """Start the demo and wait until it says that it is ready."""
        before = self.process.output.count("READY ")
        self.process.start()
        self.process.wait_until(
            lambda: self.process.output.count("READY ") > before, timeout_seconds=READY_SECONDS, what="ready"
        )
        return self

    @property
    def facts(self) -> dict[str, Any]:
        """What ``demo.json`` says."""
        facts: dict[str, Any] = json.loads((self.data_dir / "demo.json").read_text())
        return facts

    @property
    def people_password(self) -> str:
        """The password that the start page shows."""
        found = re.search(
            r"password is<br><code>([^<]+)</code>", httpx.get(self.facts["url"], timeout=PATIENCE_SECONDS).text
        )
        assert found is not None
        return found[1]

    def visit(self, address: str = "81.2.69.142") -> Visitor:
        """Open a browser whose requests come from *address*."""
        visitor = Visitor(self.facts["url"], address)
        self._visitors.append(visitor)
        return visitor

    def stop(self) -> None:
        """End the demo and close the browsers."""
        for visitor in self._visitors:
            visitor.client.close()
        self.process.stop()

    def rows(self, kind: str, **parameters: Any) -> list[dict[str, Any]]:
        """The newest rows of *kind* by the API, with a token of the client in ``demo.json``."""
        facts = self.facts
        token = httpx.post(
            f"{facts['url']}/oauth2/v1/token",
            auth=(facts["client_id"], facts["client_secret"]),
            data={"grant_type": "client_credentials", "scope": "root"},
            timeout=PATIENCE_SECONDS,
        ).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.get(
            f"{facts['url']}/api/v1/logs/{kind}", headers=headers, params=parameters, timeout=PATIENCE_SECONDS
        )
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["logs"]
        return rows

    def wait_for_rows(self, kind: str, enough: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
        """Wait until the rows of *kind* satisfy *enough*, and return them."""
        wait_until(lambda: enough(self.rows(kind)), what=f"the rows of {kind}")
        return self.rows(kind)

    def children(self) -> dict[str, int]:
        """The process ids of the supervisor's children by name: web, worker, beat."""
        found = {}
        for pid in processes_of(self.data_dir):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            for name, word in (("web", b"melody_logs.demo.web"), ("worker", b"worker"), ("beat", b"beat")):
                if word in command:
                    found[name] = pid
        return found

    def stored_bytes(self) -> bytes:
        """Everything in the log database and the spool, with what is still in their write-ahead logs."""
        files = [path for path in self.data_dir.glob("host-logs.db*")]
        files += [path for path in (self.data_dir / "melody_logs").rglob("*") if path.is_file()]
        assert files
        return b"".join(path.read_bytes() for path in files)

    def count_stored(self) -> int:
        """The number of sign-ins, read from the database file itself."""
        with sqlite3.connect(self.data_dir / "host-logs.db") as connection:
            count: int = connection.execute("select count(*) from melody_sign_in_log").fetchone()[0]
        connection.close()
        return count


class Visitor:
    """A browser without a screen: cookies, an address, and forms with their CSRF token.

    Each request has a connection of its own: a web process that is killed between two of them is not noticed.
    """

    def __init__(self, url: str, address: str) -> None:
        self.client = httpx.Client(
            base_url=url,
            headers={"X-Forwarded-For": address, "Connection": "close"},
            follow_redirects=True,
            timeout=PATIENCE_SECONDS,
        )

    def submit(self, path: str, **fields: str) -> httpx.Response:
        """Open a page, fill in its form and send it."""
        token = _CSRF_FIELD.search(self.client.get(path).text)
        return self.client.post(path, data={**fields, "csrf_token": token[1] if token else ""})

    def sign_in(self, email: str, password: str) -> httpx.Response:
        """Sign in."""
        return self.submit("/sign-in", email=email, password=password)

    def read_inbox(self, receiver: str, pattern: str) -> str:
        """Find *pattern* in the newest message to *receiver*."""
        found = re.search(pattern, self.client.get("/inbox", params={"to": receiver}).text)
        assert found is not None
        return found[1]


def processes_of(data_dir: Path) -> list[int]:
    """The processes whose environment or command names *data_dir*, apart from ended ones."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            is_zombie = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue  # it has ended, or belongs to somebody else
        if str(data_dir).encode() in text and not is_zombie:
            found.append(int(folder.name))
    return found
