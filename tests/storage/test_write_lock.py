"""The write lock: one writer at a time, given back however the transaction ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from melody_logs.errors import StorageUnavailableError
from melody_logs.storage import mariadb
from melody_logs.storage.database import Database
from melody_logs.storage.models import SmsLog
from tests.conftest import ServedDatabase
from tests.storage.rows import make_database, message, read_all, write

OWN_SESSION = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
END_SESSION = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL CONNECTION {}"}
#: Far below the ten seconds after which a writer that waits gives up.
SOON_SECONDS = 5


@pytest.fixture
def database(served_database: ServedDatabase) -> Iterator[Database]:
    database = make_database(served_database.url)
    yield database
    database.close()


@pytest.fixture
def other(database: Database, served_database: ServedDatabase) -> Iterator[Database]:
    """The same database as another process has it."""
    other = make_database(served_database.url)
    yield other
    other.close()


def write_soon(database: Database) -> None:
    started_at = time.monotonic()
    write(database, message("sms"))
    assert time.monotonic() - started_at < SOON_SECONDS


def test_writers_take_turns_and_see_what_the_last_one_wrote(database: Database, other: Database) -> None:
    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            waiting = pool.submit(write, other, message("sms"))
            time.sleep(0.5)
            assert not waiting.done()
            assert connection.scalars(select(SmsLog.id)).all() == []
        waiting.result(timeout=SOON_SECONDS)
    write_soon(database)
    assert [row.position for row in read_all(database, "sms")] == [1, 2]


def test_lock_is_given_back_after_an_error(database: Database, other: Database) -> None:
    with pytest.raises(DBAPIError), database.write() as connection:
        connection.execute(text("no SQL at all"))
    write_soon(other)
    with pytest.raises(ZeroDivisionError), database.write():
        raise ZeroDivisionError
    write_soon(other)


def test_lock_is_given_back_when_the_connection_is_lost(database: Database, other: Database) -> None:
    """What was lost is said as it is, not by the attempt to give the lock back."""
    with pytest.raises(DBAPIError) as caught, database.write() as connection:
        number = connection.scalar(text(OWN_SESSION[database.dialect_name]))
        with other.transaction() as another:
            another.exec_driver_sql(END_SESSION[database.dialect_name].format(number))
        connection.execute(select(SmsLog.id))
    assert caught.value.connection_invalidated
    write_soon(other)
    write_soon(database)


def test_lock_that_does_not_become_free_is_named(mariadb_url: str) -> None:
    database, other = make_database(mariadb_url), make_database(mariadb_url)
    with database.engine.connect() as connection, other.engine.connect() as another:
        with (
            mariadb.session_lock(connection, "ours"),
            pytest.raises(StorageUnavailableError, match='the lock "ours" was not free within 1 s'),
            mariadb.session_lock(another, "ours", seconds=1),
        ):
            pytest.fail("two sessions hold one lock")
        with mariadb.session_lock(another, "ours", seconds=1):
            pass
    database.close()
    other.close()
