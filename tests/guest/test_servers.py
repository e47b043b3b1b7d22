"""Real servers: in each process one drain thread, one spool and connections of its own; each attempt is there once."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from melody_logs.storage.database import Database
from tests.conftest import StartProcess
from tests.guest.served_app import create_app, open_sockets, open_spools
from tests.hosts import close_host
from tests.servers.processes import Process, free_port, wait_until
from tests.storage.rows import make_database, read_all

ROOT = Path(__file__).parent.parent.parent
ATTEMPTS = 24
APP = "tests.guest.served_app:create_app()"
GUNICORN = [sys.executable, "-m", "gunicorn", "--workers", "2", "--graceful-timeout", "5"]
GUNICORN += ["--bind", "127.0.0.1:{port}"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process has open is read from /proc")


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

    def ask_facts(self, processes: int) -> list[dict[str, Any]]:
        """Ask until that many processes have answered, and give the last answer of each."""
        facts: dict[int, dict[str, Any]] = {}

        def ask(_: int) -> Any:
            return httpx.get(f"{self.url}/facts", timeout=30).json()

        def all_answered() -> bool:
            with ThreadPoolExecutor(6) as pool:
                facts.update({answer["pid"]: answer for answer in pool.map(ask, range(6))})
            return len(facts) == processes

        wait_until(all_answered, timeout_seconds=20, what=f"an answer of each of {processes} processes")
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


Serve = Callable[..., Served]


@pytest.fixture
def serve(start_process: StartProcess, tmp_path: Path, postgresql_url: str) -> Serve:
    """A function that starts a server by its command, in which ``{port}`` stands for the port."""

    def start(command: Sequence[str], **environment: str) -> Served:
        port = free_port()
        process = start_process(
            [part.format(port=port) for part in command],
            name="server",
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
    """Check what gunicorn's two workers and the process that forked them have open, and give the workers' numbers."""
    facts = served.ask_facts(2)
    assert_one_of_each(facts)
    assert open_spools(served.process.pid) == [], "the process that only forks has no spool"
    pids: list[int] = [fact["pid"] for fact in facts]
    assert served.process.pid not in pids
    shared = open_sockets(served.process.pid)
    first, second = (open_sockets(pid) for pid in pids)
    assert first & second <= shared, "the workers share what they listen on, and no connection"
    assert (first | second) - shared, "who has drained is connected to the database"
    return pids


@pytest.mark.parametrize("options", [["--worker-class", "gthread", "--threads", "4"], ["--worker-class", "gevent"]])
def test_gunicorn(serve: Serve, options: list[str]) -> None:
    served = serve([*GUNICORN, *options, APP])
    served.sign_in(range(ATTEMPTS))
    wait_until(lambda: served.recorded() == expected(range(ATTEMPTS)), what="each attempt in the log, once")
    assert_workers_are_apart(served)


def test_killed_worker_of_a_preloaded_app_loses_nothing(serve: Serve) -> None:
    """What it had spooled is adopted by the next one; the app was made before the fork."""
    served = serve([*GUNICORN, "--preload", APP])
    served.sign_in(range(10))
    before = assert_workers_are_apart(served)
    served.sign_in(range(10, ATTEMPTS))
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    served.process.wait_until(served.answers)
    wait_until(
        lambda: served.recorded() == expected(range(ATTEMPTS)), timeout_seconds=20, what="each attempt in the log, once"
    )
    assert not set(assert_workers_are_apart(served)) & set(before)


def test_workers_that_end_after_some_requests_leave_nothing_behind(serve: Serve, tmp_path: Path) -> None:
    served = serve([*GUNICORN, "--max-requests", "12", APP])
    served.sign_in(range(ATTEMPTS))
    served.process.stop()
    assert served.recorded() == expected(range(ATTEMPTS)), "each is there once when the server has ended"
    assert list(tmp_path.glob("melody_logs/spool/*.spool")) == []


def test_waitress(serve: Serve) -> None:
    options = ["--listen", "127.0.0.1:{port}", "--threads", "4", "--call", APP.removesuffix("()")]
    served = serve([sys.executable, "-m", "waitress", *options])
    served.sign_in(range(ATTEMPTS))
    (fact,) = served.ask_facts(1)
    assert_one_of_each([fact])
    assert fact["pid"] == served.process.pid
    wait_until(lambda: served.recorded() == expected(range(ATTEMPTS)), what="each attempt in the log, once")


RELOADERS = {
    "flask run": [sys.executable, "-m", "flask", "--app", APP, "run", "--debug", "--port", "{port}"],
    "app.run": [sys.executable, "-m", "tests.guest.served_app"],
}


@pytest.mark.parametrize("command", RELOADERS.values(), ids=RELOADERS)
def test_development_server_with_its_reloader(serve: Serve, tmp_path: Path, command: list[str]) -> None:
    """Its first process only watches the files; the second one serves, and is another after each change."""
    watched = tmp_path / "watched.py"
    watched.write_text("")
    extra = ["--extra-files", str(watched)] if "run" in command else []
    served = serve([*command, *extra])
    served.sign_in(range(10))
    (fact,) = served.ask_facts(1)
    assert_one_of_each([fact])
    assert fact["pid"] != served.process.pid
    assert open_spools(served.process.pid) == []
    if extra:
        watched.write_text("# changed")
        os.utime(watched, (time.time() + 5,) * 2)
        served.process.wait_for_output("Detected change in", timeout_seconds=20)
        served.process.wait_until(lambda: served.answers() and served.ask_facts(1)[0]["pid"] != fact["pid"])
        served.sign_in(range(10, 20))
        assert_one_of_each(served.ask_facts(1))
    numbers = range(20 if extra else 10)
    wait_until(lambda: served.recorded() == expected(numbers), timeout_seconds=20, what="each attempt in the log, once")


def test_server_without_threads_is_drained_by_the_command(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """As uWSGI is unless it is told otherwise: the setting says so, and cron or a worker drains."""
    served = serve([*GUNICORN, "--workers", "1", APP], TEST_HOST_DRAIN="false")
    served.sign_in(range(10))
    assert [fact["drains"] for fact in served.ask_facts(1)] == [0]
    assert not served.recorded()
    for name in ("TEST_HOST_FOLDER", "TEST_HOST_DATABASE_URL", "TEST_HOST_DRAIN"):
        monkeypatch.setenv(name, served.process.environment[name])
    app = create_app()
    done = app.test_cli_runner().invoke(args=["melody-logs", "drain"])
    assert done.exit_code == 0, done.output
    assert "10 entries" in done.output
    assert served.recorded() == expected(range(10))
    close_host(app)
