"""A real server around the host of :mod:`tests.guest.served_app`, and what its processes must be like."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from melody_logs.storage.database import Database
from tests.conftest import StartProcess
from tests.guest.served_app import open_sockets, open_spools
from tests.servers.processes import Process, free_port, wait_until
from tests.storage.rows import make_database, read_all

ROOT = Path(__file__).parent.parent.parent
APP = "tests.guest.served_app:create_app()"
ATTEMPTS = 24
GUNICORN = [sys.executable, "-m", "gunicorn", "--workers", "2", "--graceful-timeout", "5"]
GUNICORN += ["--bind", "127.0.0.1:{port}"]
UWSGI = [str(Path(sys.executable).with_name("uwsgi")), "--http-socket", "127.0.0.1:{port}", "--module", APP]
UWSGI += ["--master", "--need-app", "--die-on-term", "--disable-logging"]


@dataclass
class Served:
    """A running server, and the database of its logs."""

    process: Process
    url: str
    database: Database

    def sign_in(self, numbers: Sequence[int]) -> None:
        """Try to sign in, four at a time, each under a name of its own; every answer must come."""

        def post(number: int) -> int:
            answer = httpx.post(f"{self.url}/sign-in", data={"email": f"p{number}@example.org"}, timeout=30)
            return answer.status_code

        with ThreadPoolExecutor(4) as pool:
            for number, code in zip(numbers, pool.map(post, numbers), strict=True):
                assert code == (401 if number % 2 else 200)

    def ask_findings(self) -> dict[str, dict[str, str]]:
        """Ask one process for its findings of health, by name."""
        found: dict[str, dict[str, str]] = httpx.get(f"{self.url}/findings", timeout=30).json()
        return found

    def ask_facts(self, processes: int) -> list[dict[str, Any]]:
        """Ask until that many processes have answered, and give the last answer of each."""
        facts: dict[int, dict[str, Any]] = {}

        def ask(_: int) -> Any:
            return httpx.get(f"{self.url}/facts", timeout=30).json()

        def all_answered() -> bool:
            with ThreadPoolExecutor(6) as pool:
                facts.update({answer["pid"]: answer for answer in pool.map(ask, range(6))})
            return len(facts) == processes

        wait_until(all_answered, what=f"an answer of each of {processes} processes")
        return list(facts.values())

    def answers(self) -> bool:
        """Say whether the server takes requests."""
        try:
            return httpx.get(f"{self.url}/facts", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def recorded(self) -> Counter[tuple[str, str]]:
        """Count the rows by identity and outcome."""
        return Counter((row.identity, row.outcome) for row in read_all(self.database, "sign-in"))

    def wait_for(self, numbers: Sequence[int]) -> None:
        """Wait until each of these attempts is in the log, once."""
        with suppress(AssertionError):
            wait_until(lambda: self.recorded() == expected(numbers))
        found, wanted = self.recorded(), expected(numbers)
        assert found == wanted, f"missing {wanted - found}, too many {found - wanted}: {self.process.output[-2000:]}"


StartServer = Callable[..., Served]


@pytest.fixture
def start_server(start_process: StartProcess, tmp_path: Path, postgresql_url: str) -> StartServer:
    """A function that starts a server by its command, in which ``{port}`` stands for the port."""

    def start(command: Sequence[str], *, name: str = "server", **environment: str) -> Served:
        port = free_port()
        process = start_process(
            [part.format(port=port) for part in command],
            name=name,
            environment={
                "PYTHONPATH": str(ROOT),
                "HOME": str(tmp_path),  # for gunicorn's control socket
                "TEST_HOST_FOLDER": str(tmp_path),
                "TEST_HOST_DATABASE_URL": postgresql_url,
                "TEST_HOST_PORT": str(port),
                **environment,
            },
        )
        served = Served(process, f"http://127.0.0.1:{port}", make_database(postgresql_url))
        process.wait_until(served.answers)
        return served

    return start


def expected(numbers: Sequence[int]) -> Counter[tuple[str, str]]:
    """Count what must be recorded of these attempts."""
    return Counter((f"p{number}@example.org", "failure" if number % 2 else "success") for number in numbers)


def assert_one_of_each(facts: Sequence[dict[str, Any]]) -> None:
    """Check that each process has one drain, at most one spool, which is its own, and shares no connection."""
    assert [fact["drains"] for fact in facts] == [1] * len(facts)
    assert all(len(fact["spools"]) <= 1 for fact in facts)
    spools = [spool for fact in facts for spool in fact["spools"]]
    assert len(spools) == len(set(spools))


def assert_workers_are_apart(served: Served) -> list[int]:
    """Check what a server's two workers and the process that forked them have open, and give the workers' numbers."""
    facts = served.ask_facts(2)
    assert_one_of_each(facts)
    assert open_spools(served.process.pid) == [], "the process that only forks has no spool"
    pids: list[int] = [fact["pid"] for fact in facts]
    assert served.process.pid not in pids
    shared = open_sockets(served.process.pid)

    def connections() -> set[str]:
        return set.union(*map(open_sockets, pids)) - shared

    wait_until(connections, what="a connection to the database of who drains")
    first, second = (open_sockets(pid) for pid in pids)
    assert first & second <= shared, "the workers share what they listen on, and no connection"
    return pids
