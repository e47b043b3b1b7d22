"""Requests that end badly under a real server: the attempt is in the log, and a mail has a truthful state."""

from __future__ import annotations

import socket
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from melody_logs.jobs.expire import expire_pending
from melody_logs.storage.database import Database
from melody_logs.storage.models import EmailLog
from tests.conftest import StartProcess
from tests.drills.reporting import Drill
from tests.servers.processes import Process, free_port, wait_until
from tests.storage.rows import assert_totals_match, make_database, read_all
from tests.worker.conftest import ROOT

GUNICORN = [sys.executable, "-m", "gunicorn", "--workers", "2", "--timeout", "2", "--graceful-timeout", "2"]
#: How a view ends, and the answers its client may get; None: the server breaks the connection off.
ENDINGS: dict[str, set[int | None]] = {
    "return": {200},
    "rollback": {200},
    "raise": {500},
    "abort": {401},
    "stream": {200},
    "hang": {None, 500},
}
PENDING = timedelta(minutes=15)


@dataclass
class Served:
    """The host behind gunicorn, and the database of its logs."""

    process: Process
    port: int
    database: Database

    @property
    def url(self) -> str:
        """The address of the host."""
        return f"http://127.0.0.1:{self.port}"

    def recorded(self) -> Counter[str]:
        """Count the sign-ins by identity.

        A process drains from its first request on: after the last kill, the one that is left may have had none yet.
        """
        assert httpx.get(f"{self.url}/ready", timeout=60).text == "ready"
        return Counter(row.identity for row in read_all(self.database, "sign-in"))

    def post(self, path: str, **parameters: Any) -> int | None:
        """Return the code of the answer, None where there is none."""
        try:
            return httpx.post(f"{self.url}{path}", params=parameters, timeout=60).status_code
        except httpx.TransportError:
            return None


@pytest.fixture
def served(start_process: StartProcess, tmp_path: Path, postgresql_url: str) -> Iterator[Served]:
    """The host under gunicorn, whose requests are killed after two seconds."""
    port = free_port()
    database = make_database(postgresql_url)
    environment = {
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),  # for gunicorn's control socket
        "TEST_HOST_FOLDER": str(tmp_path),
        "TEST_HOST_DATABASE_URL": postgresql_url,
    }
    command = [*GUNICORN, "--bind", f"127.0.0.1:{port}", "tests.drills.ending_host:create_app()"]
    process = start_process(command, name="gunicorn", environment=environment)
    process.wait_until(lambda: answers(port))
    yield Served(process, port, database)
    database.close()


@pytest.mark.fault("F18")
def test_attempt_is_recorded_however_its_request_ends(served: Served, drill: Drill) -> None:
    wanted: Counter[str] = Counter()
    hooked = Counter({f"{way}-hang@example.org": 1 for way in ("signal", "watched")})
    codes = {}
    for way in ("explicit", "signal", "watched"):
        for ending, expected in ENDINGS.items():
            name = f"{way}-{ending}@example.org"
            codes[name] = (served.post(f"/{way}/{ending}", name=name), expected)
            # What hooks gathered ends with a killed process; what was recorded by name is on the disk.
            if ending != "hang" or way == "explicit":
                wanted[name] += 1
    wait_until(lambda: not wanted - served.recorded(), what="all recorded")
    found = served.recorded()
    for ending in ENDINGS:
        ways = ("explicit",) if ending == "hang" else ("explicit", "signal", "watched")
        names = [f"{way}-{ending}@example.org" for way in ways]
        recorded = sum(found[name] for name in names)
        what = "killed by the server's timeout" if ending == "hang" else ending
        drill.expect(f"attempts recorded: {what}", expected=len(names), measured=recorded, held=recorded == len(names))
    answers_differ = [name for name, (code, expected) in codes.items() if code not in expected]
    drill.expect(
        "answers changed by the logs", expected="none", measured=answers_differ or "none", held=not answers_differ
    )
    assert found | hooked == wanted | hooked
    # The host never committed: what the logs wrote is not in its session's hands, nor the other way round.
    assert httpx.get(f"{served.url}/accounts").text == "0"
    assert "WORKER TIMEOUT" in served.process.output
    assert_totals_match(served.database)


@pytest.mark.fault("F21")
def test_mail_has_a_truthful_state_however_its_sending_ends(served: Served, drill: Drill) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert served.post("/mail/throws", port=free_port()) == 500
        assert served.post("/mail/times-out", port=silent.getsockname()[1]) == 500
        assert served.post("/mail/die", port=free_port()) is None
    # A process that works takes over the spool of the dead one.
    wait_until(lambda: answers(served.port) and len(states(served.database)) == 3, what="three mails")
    at_first = states(served.database)
    age(served.database, PENDING - timedelta(minutes=1))
    assert expire_pending(served.database, older_than=PENDING) == 0
    age(served.database, timedelta(minutes=1))
    assert expire_pending(served.database, older_than=PENDING) == 1
    later = states(served.database)
    for name, receiver in (("throws", "throws"), ("times out", "times-out")):
        state = at_first[f"{receiver}@example.org"]
        drill.expect(f"provider {name}", expected="failed", measured=state, held=state == "failed")
    story = f"{at_first['die@example.org']}, {later['die@example.org']} after {PENDING}"
    drill.expect(
        "host dies before the answer",
        expected="pending, unknown after 15 min",
        measured=story,
        held=(at_first["die@example.org"], later["die@example.org"]) == ("pending", "unknown"),
    )
    said = {row.receiver: row.response or "" for row in read_all(served.database, "email")}
    assert "ConnectionRefusedError" in said["throws@example.org"] and "timed out" in said["times-out@example.org"]
    assert_totals_match(served.database)


def states(database: Database) -> dict[str, str]:
    return {row.receiver: row.status for row in read_all(database, "email")}


def age(database: Database, by: timedelta) -> None:
    """Let time pass: what was recorded lies further back."""
    rows = read_all(database, "email")
    with database.transaction() as connection:
        for row in rows:
            moved = {"recorded_at": row.recorded_at - by}
            connection.execute(update(EmailLog).where(EmailLog.id == row.id).values(moved))


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
