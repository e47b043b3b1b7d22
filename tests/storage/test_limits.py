"""Nothing waits for ever: limits of reads and writes, and servers that do not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from melody_logs.storage.database import Database
from melody_logs.storage.destination import Destination
from melody_logs.storage.queries import count_rows
from melody_logs.storage.watchdog import Watchdog
from tests.servers.postgresql import PostgresqlServer
from tests.storage.rows import make_database, sign_in, write


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    database = make_database(postgresql_url)
    yield database
    database.close()


def test_read_that_takes_too_long_is_ended(database: Database) -> None:
    started = time.monotonic()
    with pytest.raises(OperationalError), database.reads_within(0.3), database.read() as connection:
        connection.execute(text("SELECT pg_sleep(20)"))
    assert time.monotonic() - started < 3
    assert count_rows(database, "sign-in") == 0


def test_every_transaction_that_writes_has_limits_and_leaves_none_behind(database: Database) -> None:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    with database.transaction() as connection:
        limits = [connection.scalar(text(f"SHOW {name}")) for name in names]
    assert limits == ["10s", "1min", "30s"]
    with database.engine.connect() as connection:
        assert [connection.scalar(text(f"SHOW {name}")) for name in names] == ["0", "0", "0"]


def test_frozen_server_is_given_up_on_and_found_again(database: Database, postgresql_server: PostgresqlServer) -> None:
    """A frozen server keeps none of its own timeouts: neither a query under way nor the ping of a pooled connection."""
    write(database, sign_in())
    with database.reads_within(0.3):
        started = time.monotonic()
        try:
            with pytest.raises(OperationalError), database.read() as connection:
                postgresql_server.pause()
                connection.execute(text("SELECT 1"))
            with pytest.raises(OperationalError):
                count_rows(database, "sign-in")
        finally:
            postgresql_server.resume()
        assert time.monotonic() - started < 8
        assert count_rows(database, "sign-in") == 1


def test_pooled_connection_of_a_frozen_server_is_given_up_on(
    database: Database, postgresql_server: PostgresqlServer
) -> None:
    assert count_rows(database, "sign-in") == 0
    started = time.monotonic()
    postgresql_server.pause()
    try:
        with pytest.raises(OperationalError):
            count_rows(database, "sign-in")
    finally:
        postgresql_server.resume()
    assert time.monotonic() - started < 8
    assert count_rows(database, "sign-in") == 0


def test_connections_that_the_server_closed_are_replaced(database: Database, postgresql_url: str) -> None:
    assert count_rows(database, "sign-in") == 0
    other = Database(lambda: Destination(make_url(postgresql_url), None))
    with other.transaction() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = :d"
            ),
            {"d": make_url(postgresql_url).database},
        )
    other.close()
    assert count_rows(database, "sign-in") == 0


def test_watchdog_leaves_a_connection_alone_that_was_given_back_in_time(database: Database) -> None:
    watchdog = Watchdog()
    with database.engine.connect() as connection:
        with watchdog.limit(connection.connection.driver_connection, 0.3):
            pass
        time.sleep(0.8)
        assert connection.scalar(text("SELECT 1")) == 1
