"""A real MariaDB for the tests: one server a test process, an empty database of its own for each test."""

from __future__ import annotations

import os
import pwd
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest
from sqlalchemy import make_url
from sqlalchemy.engine import URL

from .availability import missing
from .binaries import Binary, mariadb_binaries
from .processes import ProcessError
from .server import Server, own_folder

ADDRESS_VARIABLE = "TEST_MARIADB_URL"
# No test pulls the plug of the machine; what survives kill -9 of a process does so without fsync. The doublewrite
# buffer stays on: a killed write may leave half a page.
WITHOUT_FSYNC = ["--innodb-flush-method=nosync", "--debug-no-sync", "--sync-frm=0"]
OPTIONS = [
    *WITHOUT_FSYNC,
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--max-connections=100",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-log-file-size=16M",
    "--innodb-buffer-pool-size=64M",
    # Where our sessions and tables leave anything to the server, these make it show.
    "--character-set-server=latin1",
    "--default-time-zone=+09:00",
    "--sql-mode=ANSI_QUOTES,PIPES_AS_CONCAT",
    "--transaction-isolation=SERIALIZABLE",
]


class MariadbServer(Server):
    """A MariaDB in a temporary folder on a free port, run as ``nobody`` when the tests run as root."""

    name = "mariadb"

    def __init__(self, binary: Binary, folder: Path) -> None:
        super().__init__(folder)
        self.binary = binary
        self.data_folder = folder / "data"
        if os.geteuid() == 0:
            self.user_id = pwd.getpwnam("nobody").pw_uid
            os.chown(folder, self.user_id, -1)
        self._create_data()

    def url(self, database: str | None = None) -> URL:
        """Return the address of a database, or of the server."""
        return URL.create("mysql+pymysql", "root", None, "127.0.0.1", self.port, database)

    def command(self, port: int) -> list[str | Path]:
        """Return the command that runs the server in the foreground on the port."""
        # The first option must be --no-defaults: a machine's own configuration is for its own server.
        places = [f"--datadir={self.data_folder}", f"--socket={self.folder / 'socket'}", f"--port={port}"]
        return [self.binary.path, "--no-defaults", *places, *OPTIONS]

    def answers(self, port: int) -> bool:
        """Return whether the server on the port answers and keeps its data in our folder."""
        try:
            with connected(self.url().set(port=port)) as cursor:
                cursor.execute("SELECT @@datadir")
                (folder,) = cursor.fetchone()
        except pymysql.Error:
            return False
        return Path(folder) == self.data_folder

    def _create_data(self) -> None:
        installer = shutil.which("mariadb-install-db")
        if installer is None:
            raise ProcessError("mariadb-install-db is not on the PATH; it belongs to the server's package")
        options = [f"--datadir={self.data_folder}", "--auth-root-authentication-method=normal", "--skip-test-db"]
        self.make_data([installer, "--no-defaults", *options, "--skip-name-resolve", *WITHOUT_FSYNC])


@contextmanager
def running_mariadb(binary: Binary) -> Iterator[MariadbServer]:
    """Run a server from the program in a folder of its own; end it and remove the folder afterwards."""
    with own_folder("mariadb") as folder, MariadbServer(binary, folder).running() as server:
        yield server


@contextmanager
def connected(url: URL) -> Iterator[pymysql.cursors.Cursor]:
    """Connect to the server of the address, without our engine, and give a cursor that commits each statement."""
    connection = pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username or "root",
        password=url.password or "",
        database=url.database,
        autocommit=True,
        connect_timeout=2,
        read_timeout=20,
    )
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """A MariaDB server of ours that a test may kill, pause and start again; it must be running at the test's end."""
    found = mariadb_binaries()
    if not found:
        missing(
            "MariaDB",
            f"Set {ADDRESS_VARIABLE}, or let `make test` install it (as root), or install 'mariadb-server-core' "
            "and 'mariadb-client-core'.",
        )
    with running_mariadb(found[0]) as server:
        yield server


@pytest.fixture
def mariadb_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The ``mysql+pymysql://`` URL of an empty database of the test's own, dropped after it."""
    given = os.environ.get(ADDRESS_VARIABLE)
    address = make_url(given) if given else request.getfixturevalue("mariadb_server").url()
    name = f"test_{uuid.uuid4().hex}"
    with connected(address.set(database=None)) as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield address.set(drivername="mysql+pymysql", database=name).render_as_string(hide_password=False)
    finally:
        with connected(address.set(database=None)) as cursor:
            cursor.execute(f"DROP DATABASE {name}")
