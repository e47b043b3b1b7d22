"""Fixtures every test may use. The servers are real; each is started once a test process, on a free port.

Databases
    ``database_url``       URL of an empty database; the test runs on SQLite, PostgreSQL and MariaDB in turn
    ``sqlite_url``         URL of an SQLite file that does not exist yet
    ``postgresql_url``     URL ``postgresql+psycopg://…`` of an empty database, dropped after the test
    ``postgresql_server``  the server itself: ``url(database)``, ``stop()``, ``start()``, ``kill()``, ``pause()``,
                           ``resume()``; it must run again when the test ends
    ``pgbouncer_url``      the same as ``postgresql_url``, through a PgBouncer that pools transactions
    ``mariadb_url``        URL ``mysql+pymysql://…`` of an empty database, dropped after the test
    ``mariadb_server``     the server itself, with the same methods
    ``served_database``    ``url`` of an empty database and its ``server``, on PostgreSQL and MariaDB in turn
Redis
    ``redis_url``          URL of an empty database
    ``redis_server``       the server itself, with the same methods
Processes
    ``start_process``      ``start_process([sys.executable, "-m", …], environment={…}) -> Process``, ended after the
                           test: ``pid``, ``output``, ``wait_for_output(text)``, ``wait_until(ready)``, ``wait()``,
                           ``stop()``, ``kill()``, ``pause()``, ``resume()``, ``start()`` again
    plain functions        ``from tests.servers.processes import free_port, wait_until``
Web
    ``serve``              ``serve(app) -> "http://127.0.0.1:PORT"``: a Flask app behind a real HTTP server
    ``page``               a playwright page in real Chromium; console errors, violations of the
                           Content-Security-Policy and uncaught exceptions fail the test
    ``open_page``          ``open_page(java_script_enabled=False, …) -> Page``: more pages, other options
    ``page_problems``      the list of what pages complained about; a test that expects some asserts and clears it

Hosts
    ``apps``               a list: the apps a test appends to it are closed after it

Drills
    ``drill``              what a drill measures and its seed: see ``tests.drills.reporting``

A test marked ``long`` runs only in ``make test-long``, one marked ``drills`` only in ``make drills``. A server that
cannot be had skips its tests, loudly; with ``CI=true`` they fail. ``TEST_POSTGRESQL_URL``, ``TEST_MARIADB_URL``,
``TEST_REDIS_URL`` and ``TEST_CHROMIUM`` (a path) name given ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from flask import Flask

from tests.hosts import close_host
from tests.servers.availability import report_missing
from tests.servers.processes import Process
from tests.servers.server import Server

pytest_plugins = [
    "tests.servers.postgresql",
    "tests.servers.pgbouncer",
    "tests.servers.mariadb",
    "tests.servers.redis_server",
    "tests.servers.browser",
    "tests.servers.web",
    "tests.drills.reporting",
]


class StartProcess(Protocol):
    """Starts a child process that is ended after the test, in the order last started, first ended."""

    def __call__(
        self, command: Sequence[str | Path], *, name: str = "process", environment: Mapping[str, str] | None = None
    ) -> Process: ...


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite file of the test's own."""
    return f"sqlite:///{tmp_path / 'logs.db'}"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, on SQLite, PostgreSQL and MariaDB in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


class ServedDatabase(NamedTuple):
    """An empty database and the server it lies on, which a test may kill, pause and start again."""

    url: str
    server: Server


@pytest.fixture(params=["postgresql", "mariadb"])
def served_database(request: pytest.FixtureRequest) -> ServedDatabase:
    """An empty database with its server, PostgreSQL and MariaDB in turn; it must be running at the test's end."""
    server = request.getfixturevalue(f"{request.param}_server")
    return ServedDatabase(request.getfixturevalue(f"{request.param}_url"), server)


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[StartProcess]:
    """A function that starts a child process in the test's folder and returns it."""
    with ExitStack() as stack:

        def start(
            command: Sequence[str | Path], *, name: str = "process", environment: Mapping[str, str] | None = None
        ) -> Process:
            return stack.enter_context(Process(command, folder=tmp_path, name=name, environment=environment))

        yield start


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was skipped for want of a server."""
    report_missing(terminalreporter)


@pytest.fixture
def apps() -> Iterator[list[Flask]]:
    made: list[Flask] = []
    yield made
    for app in made:
        close_host(app)
