"""A host in a folder of its own, and the real Celery processes that serve it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from melody_logs.state import State, state_of
from melody_logs.storage.models import Heartbeat, SignInLog
from melody_logs.storage.schema import upgrade
from tests.conftest import StartProcess
from tests.hosts import close_host
from tests.servers.processes import Process
from tests.storage.rows import sign_in, write
from tests.worker.host_app import create_app

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Host:
    """The host as the test sees it, and a way to start its processes."""

    app: Flask
    environment: dict[str, str]
    start_process: StartProcess

    @property
    def state(self) -> State:
        """The objects of melody_logs."""
        return state_of(self.app)

    def start(self, application: str, *arguments: str, name: str) -> Process:
        """Start ``celery -A APPLICATION ...`` and return it."""
        command: Sequence[str] = [sys.executable, "-m", "celery", "-A", application, *arguments]
        return self.start_process(command, name=name, environment=self.environment)

    def add_sign_ins(self, count: int, *, age: timedelta = timedelta()) -> None:
        """Write sign-ins from public addresses that wait for their location."""
        rows = [sign_in(ip=f"81.2.69.{number % 250 + 1}") for number in range(count)]
        write(self.state.database, *rows, age=age)

    def count(self, *conditions: Any) -> int:
        """The number of sign-ins for which all *conditions* hold."""
        with self.state.database.read() as connection:
            found: int = connection.scalar(select(func.count()).select_from(SignInLog).where(*conditions)) or 0
            return found

    def seen(self) -> set[str]:
        """The parts of the system that gave a sign of life."""
        with self.state.database.read() as connection:
            return set(connection.scalars(select(Heartbeat.name)))


MakeHost = Callable[[str], Host]


@pytest.fixture
def host(sqlite_url: str, make_host: MakeHost) -> Host:
    """A host with empty log tables on SQLite."""
    return make_host(sqlite_url)


@pytest.fixture
def each_host(database_url: str, make_host: MakeHost) -> Host:
    """A host with empty log tables, on each database in turn."""
    return make_host(database_url)


@pytest.fixture
def make_host(tmp_path: Path, start_process: StartProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHost]:
    """A function that makes the host of the test, with its logs at the URL it is given."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(_running_host(url, tmp_path, start_process, monkeypatch))


@contextmanager
def _running_host(
    database_url: str, tmp_path: Path, start_process: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Host]:
    environment = {
        "TEST_HOST_FOLDER": str(tmp_path),
        "TEST_HOST_DATABASE_URL": database_url,
        "MELODY_WORKER_APP": "tests.worker.host_app:create_app",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    for name in ("TEST_HOST_FOLDER", "TEST_HOST_DATABASE_URL"):
        monkeypatch.setenv(name, environment[name])
    app = create_app()
    upgrade(state_of(app).database)
    yield Host(app, environment, start_process)
    close_host(app)
