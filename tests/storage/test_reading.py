"""Reads: what a statement may do and for how long, by each way to PostgreSQL, and what is left behind: nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from melody_logs.storage.database import Database
from melody_logs.storage.destination import Destination
from melody_logs.storage.models import Position
from melody_logs.storage.queries import count_rows, find, page_before, page_by_number
from melody_logs.vocabulary import KINDS
from tests.storage.rows import make_database, message, read_all, sign_in, write

#: What reading is limited by, and must be as it was when the session is somebody else's.
SETTINGS = ("statement_timeout", "transaction_read_only")


def open_database(url: str) -> Database:
    return Database(lambda: Destination(make_url(url), "melody_logs"))


@pytest.fixture(params=["psycopg", "psycopg2", "pgbouncer"])
def database(request: pytest.FixtureRequest, postgresql_url: str) -> Iterator[Database]:
    """The log database by each driver, and through a PgBouncer; it got its tables on a direct connection."""
    make_database(postgresql_url).close()
    url = request.getfixturevalue("pgbouncer_url") if request.param == "pgbouncer" else postgresql_url
    database = open_database(url.replace("+psycopg:", "+psycopg2:") if request.param == "psycopg2" else url)
    yield database
    database.close()


def test_each_statement_of_a_read_has_its_limit_and_changes_nothing(database: Database) -> None:
    with database.reads_within(2), database.read() as connection:
        for _ in range(2):
            assert [connection.scalar(text(f"SHOW {name}")) for name in SETTINGS] == ["2s", "on"]
        for statement in (insert(Position).values(kind="sms", value=1), text("CREATE TABLE made_by_a_read (id int)")):
            with pytest.raises(DBAPIError, match="read-only"):
                connection.execute(statement)
        started = time.monotonic()
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT pg_sleep(20)"))
        assert time.monotonic() - started < 15
        assert connection.scalar(text("SELECT 1")) == 1, "what failed is no hindrance for the next one"
    with database.engine.connect() as connection:
        assert [connection.scalar(text(f"SHOW {name}")) for name in SETTINGS] == ["0", "off"]
    write(database, sign_in())
    assert count_rows(database, "sign-in") == 1


def test_read_is_in_no_transaction_while_its_caller_works(database: Database, postgresql_url: str) -> None:
    """A page that is slow to write holds up neither VACUUM nor a migration."""
    watcher = open_database(postgresql_url)
    with database.read() as connection:
        connection.execute(select(Position)).all()
        with watcher.engine.connect() as other:
            states = other.scalars(text("SELECT state FROM pg_stat_activity WHERE datname = current_database()")).all()
    watcher.close()
    assert "idle in transaction" not in states


@pytest.mark.parametrize(
    "value", ["it's", 'a "b"', "100 %", "%s %(x)s %%", "back\\slash\\'", "ü€😀", "$1 :x", "; SELECT 1"]
)
def test_values_of_a_read_arrive_as_they_are(database: Database, value: str) -> None:
    write(database, sign_in(identity=value))
    with database.read() as connection:
        assert connection.scalar(text("SELECT :value || '%'"), {"value": value}) == f"{value}%"
        found = connection.execute(
            text("SELECT id FROM melody_logs.melody_sign_in_log WHERE identity = :v"), {"v": value}
        )
        assert [row.id for row in found] == [1]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize("said", ["address", "options", "role"])
def test_encoding_that_others_ask_for_keeps_no_text_out(
    postgresql_url: str, driver: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the host's address, its options nor the database's own default; many rows go by COPY, few do not."""
    make_database(postgresql_url).close()
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")
    url = make_url(postgresql_url).set(drivername=f"postgresql+{driver}")
    options: dict[str, Any] = {}
    if said == "address":
        url = url.update_query_dict({"client_encoding": "latin1"})
    elif said == "options":
        options = {"connect_args": {"client_encoding": "latin1", "options": "-c standard_conforming_strings=off"}}
    else:
        owner = open_database(postgresql_url)
        with owner.transaction() as connection:
            connection.execute(text(f'ALTER DATABASE "{url.database}" SET client_encoding = sjis'))
        owner.close()
    database = Database(lambda: Destination(url, "melody_logs", options))
    names = [f"ü¥表😀 \\' {number}" for number in range(30)]
    write(database, *[sign_in(identity=name) for name in names[:3]])
    write(database, *[sign_in(identity=name) for name in names[3:]])
    assert [row.identity for row in read_all(database, "sign-in")] == names
    with database.read() as connection:
        assert connection.scalar(text("SELECT :value"), {"value": names[0]}) == names[0]
    database.close()


def test_readers_beside_each_other_get_their_own_answers(database: Database) -> None:
    write(database, *[sign_in(identity=f"user{number}@example.org") for number in range(20)])
    wrong: list[Any] = []

    def look(row_id: int) -> None:
        for _ in range(30):
            row = find(database, "sign-in", row_id)
            if row is None or row.identity != f"user{row_id - 1}@example.org":
                wrong.append(row)

    threads = [threading.Thread(target=look, args=(row_id,)) for row_id in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_first_page_and_its_count_are_one_statement(database_url: str) -> None:
    """Which they are on each database; a page far down asks first whether it is there."""
    database = make_database(database_url)
    write(database, *[message(subject=str(number)) for number in range(7)])
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    page = page_by_number(database, "email", page_number=1, page_size=3)
    assert ([row.subject for row in page.rows], page.count) == (["6", "5", "4"], 7)
    assert len([statement for statement in statements if "melody_" in statement]) == 1
    database.close()


def test_columns_that_nobody_wants_are_not_read(database_url: str) -> None:
    database = make_database(database_url)
    write(database, *[message(subject=str(number)) for number in range(3)])
    wanted = ("id", "subject")
    rows = [
        *page_by_number(database, "email", page_number=2, page_size=1, columns=wanted).rows,
        *page_before(database, "email", limit=1, columns=wanted).rows,
        find(database, "email", 1, columns=wanted),
    ]
    assert [row._asdict() for row in rows if row is not None] == [
        {"id": 2, "subject": "1"},
        {"id": 3, "subject": "2"},
        {"id": 1, "subject": "0"},
    ]
    database.close()


def test_rows_are_written_and_read_by_each_way(database: Database) -> None:
    write(database, message(), sign_in())
    assert len(read_all(database, "email")) == 1
    assert [count_rows(database, kind) for kind in KINDS] == [1, 0, 1]
