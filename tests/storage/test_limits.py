"""Nothing waits for ever: limits of reads and writes, and servers that do not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from melody_logs.storage.database import Database
from melody_logs.storage.destination import Destination
from melody_logs.storage.queries import count_rows
from melody_logs.storage.watchdog import Watchdog
from tests.conftest import ServedDatabase
from tests.storage.rows import make_database, sign_in, write

SLEEP = {"postgresql": "SELECT pg_sleep(20)", "mysql": "SELECT sleep(20)"}
#: What says a limit of a session, what it says in a transaction that writes, and afterwards.
LIMITS: dict[str, tuple[str, dict[str, Any]]] = {
    "postgresql": (
        "SHOW {}",
        {"lock_timeout": "10s", "statement_timeout": "1min"} | {"idle_in_transaction_session_timeout": "30s"},
    ),
    "mysql": (
        "SELECT @@SESSION.{}",
        {"innodb_lock_wait_timeout": 10, "lock_wait_timeout": 10, "max_statement_time": 60}
        | {"idle_transaction_timeout": 30},
    ),
}
CUT_THE_OTHERS_OFF = {
    "postgresql": (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = :database"
    ),
    "mysql": "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND db = :database",
}


@pytest.fixture
def database(served_database: ServedDatabase) -> Iterator[Database]:
    database = make_database(served_database.url)
    yield database
    database.close()


def test_read_that_takes_too_long_is_ended(database: Database) -> None:
    started = time.monotonic()
    with pytest.raises(OperationalError), database.reads_within(0.3), database.read() as connection:
        connection.execute(text(SLEEP[database.dialect_name]))
    assert time.monotonic() - started < 15
    assert count_rows(database, "sign-in") == 0


def test_every_transaction_that_writes_has_limits(database: Database) -> None:
    question, limits = LIMITS[database.dialect_name]
    with database.transaction() as connection:
        assert {name: connection.scalar(text(question.format(name))) for name in limits} == limits


def test_limits_end_with_the_transaction_where_a_pooler_may_share_the_session(postgresql_url: str) -> None:
    database = make_database(postgresql_url)
    question, limits = LIMITS["postgresql"]
    with database.transaction():
        pass
    with database.engine.connect() as connection:
        assert {connection.scalar(text(question.format(name))) for name in limits} == {"0"}
    database.close()


def test_frozen_server_is_given_up_on_and_found_again(database: Database, served_database: ServedDatabase) -> None:
    """A frozen server keeps none of its own timeouts: neither a query under way nor the ping of a pooled connection."""
    write(database, sign_in())
    with database.reads_within(0.3):
        started = time.monotonic()
        try:
            with pytest.raises(OperationalError), database.read() as connection:
                served_database.server.pause()
                connection.execute(text("SELECT 1"))
            with pytest.raises(OperationalError):
                count_rows(database, "sign-in")
        finally:
            served_database.server.resume()
        assert time.monotonic() - started < 10
    assert count_rows(database, "sign-in") == 1


def test_pooled_connection_of_a_frozen_server_is_given_up_on(
    database: Database, served_database: ServedDatabase
) -> None:
    assert count_rows(database, "sign-in") == 0
    started = time.monotonic()
    served_database.server.pause()
    try:
        with pytest.raises(OperationalError):
            count_rows(database, "sign-in")
    finally:
        served_database.server.resume()
    assert time.monotonic() - started < 10
    assert count_rows(database, "sign-in") == 0


def test_connections_that_the_server_closed_are_replaced(database: Database, served_database: ServedDatabase) -> None:
    assert count_rows(database, "sign-in") == 0
    url = make_url(served_database.url)
    other = Database(lambda: Destination(url, None))
    with other.transaction() as connection:
        cut = connection.execute(text(CUT_THE_OTHERS_OFF[database.dialect_name]), {"database": url.database})
        if database.dialect_name == "mysql":
            for (number,) in cut.all():
                connection.exec_driver_sql(f"KILL CONNECTION {number}")
    other.close()
    assert count_rows(database, "sign-in") == 0


def test_watchdog_leaves_a_connection_alone_that_was_given_back_in_time(database: Database) -> None:
    watchdog = Watchdog()
    with database.engine.connect() as connection:
        with watchdog.limit(connection.connection.driver_connection, 1):
            pass
        time.sleep(1.5)
        assert connection.scalar(text("SELECT 1")) == 1
