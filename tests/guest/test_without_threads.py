"""Servers in whose processes no thread can run: health says who drains, and a command or the worker does."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import StartProcess
from tests.guest.serving import APP, GUNICORN, UWSGI, Served, StartServer, expected

#: Newer ones cannot do without threads.
UWSGI_RUNS_WITHOUT_THREADS = sys.version_info < (3, 13)
SERVERS: dict[str, tuple[list[str], dict[str, str], str]] = {
    "uWSGI": (
        [*UWSGI, "--processes", "1"],
        {},
        "uWSGI runs without threads, so nothing drains in this process",
    ),
    "an operating system that refuses": (
        [*GUNICORN, "--workers", "1", APP],
        {"TEST_HOST_THREADS": "none"},
        "this process cannot start a thread (can't start new thread), so nothing drains in it",
    ),
}
if not UWSGI_RUNS_WITHOUT_THREADS:
    del SERVERS["uWSGI"]


@pytest.mark.parametrize(("command", "environment", "said"), SERVERS.values(), ids=SERVERS)
def test_health_says_that_nothing_drains_and_the_command_does(
    start_server: StartServer, command: list[str], environment: dict[str, str], said: str
) -> None:
    served = start_server(command, **environment)
    served.sign_in(range(10))
    (facts,) = served.ask_facts(1)
    assert (facts["drains"], len(facts["spools"])) == (0, 1)
    assert not served.recorded()
    for finding in (served.ask_findings()["Drain thread"], ask_command_for_findings(served)["Drain thread"]):
        assert (finding["level"], finding["text"]) == ("warning", said)
        assert "--enable-threads" in finding["remedy"] and "MELODY_LOGS_DRAIN_IN_PROCESS" in finding["remedy"]
    assert served.process.output.count("so nothing drains in") == 1, "a server's log is not flooded"
    assert "Drained 10 entries" in run_command(served, "drain")
    assert served.recorded() == expected(range(10))
    served.sign_in(range(10, 20))
    assert served.ask_facts(1)[0]["spools"] == facts["spools"]
    assert "Drained 10 entries" in run_command(served, "drain")
    assert served.recorded() == expected(range(20))


def test_worker_drains_for_a_server_that_is_told_not_to(start_server: StartServer, start_process: StartProcess) -> None:
    served = start_server([*GUNICORN, "--workers", "1", APP], TEST_HOST_DRAIN="false")
    served.sign_in(range(10))
    assert [fact["drains"] for fact in served.ask_facts(1)] == [0]
    assert not served.recorded()
    finding = served.ask_findings()["Drain thread"]
    assert (finding["level"], finding["remedy"]) == ("good", "")
    assert "the worker, or flask melody-logs drain" in finding["text"]
    environment = environment_of(served) | {"MELODY_WORKER_APP": APP}
    celery = [sys.executable, "-m", "celery", "-A", "melody_logs.worker"]
    worker = start_process([*celery, "worker", "--pool", "solo"], name="worker", environment=environment)
    start_process([*celery, "call", "melody_logs.drain"], name="call", environment=environment).wait()
    served.wait_for(range(10))
    assert served.answers()
    worker.kill()


def ask_command_for_findings(served: Served) -> dict[str, dict[str, Any]]:
    """Ask for the health of another process than the server's."""
    findings = json.loads(run_command(served, "health", "--json"))["findings"]
    return {finding["name"]: finding for finding in findings}


def run_command(served: Served, *arguments: str) -> str:
    """Run a command of the host in a process of its own, and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", APP, "melody-logs", *arguments],
        cwd=served.process.folder,
        env=environment_of(served),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment_of(served: Served) -> dict[str, str]:
    """Give the environment of the server, but with threads: a command or a worker is a process like any other."""
    return {name: value for name, value in served.process.environment.items() if name != "TEST_HOST_THREADS"}
