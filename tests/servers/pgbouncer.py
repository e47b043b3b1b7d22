"""A real PgBouncer with transaction pooling in front of the test PostgreSQL: one for each test that asks."""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from .availability import missing
from .binaries import Binary, pgbouncer_binaries
from .postgresql import PostgresqlServer
from .server import Server, own_folder

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
# So few that transactions of one client find the session of another.
default_pool_size = 2
"""


class PgBouncer(Server):
    """A PgBouncer on a free port, run as ``nobody`` when the tests run as root."""

    name = "pgbouncer"
    # Its fast shutdown: it does not wait for clients.
    stop_signal = signal.SIGTERM

    def __init__(self, binary: Binary, folder: Path, server: PostgresqlServer) -> None:
        super().__init__(folder)
        self.binary = binary
        self.server = server
        if os.geteuid() == 0:
            self.user_id = pwd.getpwnam("nobody").pw_uid
            os.chown(folder, self.user_id, -1)

    def command(self, port: int) -> list[str | Path]:
        """Return the command that runs it in the foreground on the port."""
        users, configuration = self.folder / "users.txt", self.folder / "pgbouncer.ini"
        users.write_text('"tester" ""\n')
        configuration.write_text(CONFIGURATION.format(server_port=self.server.port, port=port, users=users))
        return [self.binary.path, configuration]

    def answers(self, port: int) -> bool:
        """Return whether the port answers and is a PgBouncer in front of our server."""
        try:
            with psycopg.connect(f"postgresql://tester@127.0.0.1:{port}/postgres", connect_timeout=2) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]) == self.server.data_folder


@pytest.fixture
def pgbouncer_url(postgresql_server: PostgresqlServer, postgresql_url: str) -> Iterator[str]:
    """The ``postgresql+psycopg://`` URL of an empty database, by a PgBouncer that pools transactions."""
    found = pgbouncer_binaries()
    if not found:
        missing("PgBouncer", "Let `make test` install it (as root), or install 'pgbouncer'.")
    with own_folder("pgbouncer") as folder, PgBouncer(found[0], folder, postgresql_server).running() as pooler:
        url = make_url(postgresql_url).set(host="127.0.0.1", port=pooler.port, username="tester")
        yield url.render_as_string(hide_password=False)
