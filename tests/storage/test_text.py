"""Text: every database keeps it whole and finds it by its very bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from melody_logs.storage.database import Database
from melody_logs.storage.models import TABLES, Heartbeat
from melody_logs.storage.progress import advance_progress, note_heartbeat, read_progress
from tests.storage.rows import make_database, message, read_all, sign_in, write


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = make_database(database_url)
    yield database
    database.close()


@pytest.mark.parametrize(
    "content",
    [
        "🎵 \U0010ffff 漢字 e\u0301 ﷽",
        "\\ \\' \\\" \\n %s %(name)s :name '' `\"` ; -- /* \x1a \r\n\t",
        "trailing spaces   ",
        "",
        "x" * 1_000_000,
        "🎵'" * 300_000,
    ],
    ids=["every plane", "quoting", "trailing spaces", "empty", "big", "big when quoted"],
)
def test_text_comes_back_as_it_was(database: Database, content: str) -> None:
    write(database, message(content=content, subject=content[:998]))
    (row,) = read_all(database, "email")
    assert (row.content, row.subject) == (content, content[:998])


def test_look_ups_fold_no_case_no_accents_and_no_spaces(database: Database) -> None:
    names = ["ann", "Ann", "ANN", "ann ", " ann", "änn", "ann\t"]
    write(database, *(sign_in(identity=name) for name in names))
    table = TABLES["sign-in"]
    with database.read() as connection:
        for name in names:
            found: Any = connection.scalars(select(table.c.identity).where(table.c.identity == name)).all()
            assert found == [name]
        in_order: Any = connection.scalars(select(table.c.identity).order_by(table.c.identity)).all()
    # Not so on a PostgreSQL whose database has a language of its own; ours has none.
    assert in_order == sorted(names)


def test_keys_fold_no_case_and_no_spaces(database: Database) -> None:
    """One program's heartbeat must not pass for another's, nor one spool's progress for another's."""
    names = ["drain", "Drain", "drain "]
    with database.write() as connection:
        now = database.now(connection)
        for number, name in enumerate(names, 1):
            note_heartbeat(connection, name, now, name)
            advance_progress(connection, name, number, now)
    with database.read() as connection:
        assert set(connection.scalars(select(Heartbeat.detail))) == set(names)
        assert [read_progress(connection, name) for name in names] == [1, 2, 3]
