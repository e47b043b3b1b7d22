"""The drain: poison, a database that goes away, losses, and waiting for an entry."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, make_url, select, text
from sqlalchemy.exc import OperationalError

from melody_logs.errors import StorageUnavailableError
from melody_logs.recording.drain import Drain
from melody_logs.recording.spool import Spool
from melody_logs.recording.spool_memory import MEMORY_ENTRIES
from melody_logs.storage.database import Database
from melody_logs.storage.destination import Destination
from melody_logs.storage.engine import create_tables
from melody_logs.storage.models import Gap, Heartbeat, SpoolProgress
from melody_logs.storage.progress import forget_old_progress, note_heartbeat
from tests.conftest import ServedDatabase
from tests.recording.spool_rows import count_gaps, count_marks, make_body, make_database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def _break(body: bytes, **values: object) -> bytes:
    """Change values as no builder of entries would."""
    entry = json.loads(body)
    entry["values"] = {**entry["values"], **values}
    return json.dumps(entry).encode()


@pytest.mark.parametrize(
    "poison",
    [b"{not json", b"\xff\xfe", b'{"kind": "sms"}', b"[]", _break(make_body("poison"), status=None)],
    ids=["no json", "no text", "no values", "no object", "refused by the database"],
)
def test_poison_entry_becomes_a_dead_letter_and_the_others_pass(folder: Path, database_url: str, poison: bytes) -> None:
    database = make_database(database_url)
    spool = Spool(folder, destination=database.fingerprint)
    for number in range(40):
        spool.append("sms", poison if number == 17 else make_body(f"{number}"))
    drain = Drain(spool, database)
    assert drain.run_once() == 39
    assert count_marks(database) == {f"{number}": 1 for number in range(40) if number != 17}
    assert spool.waiting().dead_letters == 1
    assert spool.waiting().entries == 0
    spool.close()
    successor = Spool(folder, destination=database.fingerprint)
    again = Drain(successor, database)
    assert again.run_once() == 0
    assert again.run_once() == 0
    assert successor.waiting().dead_letters == 1


def test_rows_that_may_not_come_by_copy_come_by_statements(folder: Path, postgresql_url: str) -> None:
    """PostgreSQL refuses COPY into a table with row-level security, for whoever that binds."""
    owner = make_database(postgresql_url)
    role = f"guarded_{os.getpid()}"
    with owner.engine.begin() as connection:
        for statement in (
            f"CREATE ROLE {role} LOGIN",
            f"GRANT USAGE ON SCHEMA public TO {role}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
            "ALTER TABLE melody_sms_log ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY everything ON melody_sms_log USING (true)",
        ):
            connection.execute(text(statement))
    database = Database(lambda: Destination(make_url(postgresql_url).set(username=role), None))
    spool = Spool(folder, destination=database.fingerprint)
    for number in range(40):
        spool.append("sms", make_body(f"{number}"))
    try:
        assert Drain(spool, database).run_once() == 40
        assert count_marks(owner) == {f"{number}": 1 for number in range(40)}
    finally:
        database.close()
        with owner.engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


def test_error_text_of_a_dead_letter_holds_no_values(folder: Path, served_database: ServedDatabase) -> None:
    database = make_database(served_database.url)
    spool = Spool(folder, destination=database.fingerprint)
    spool.append("sms", _break(make_body("poison", content="private words"), status=None))
    spool.append("sms", make_body("well"))
    Drain(spool, database).run_once()
    (file,) = spool.own_files()
    error = file._writing().execute("SELECT error FROM dead_letter").fetchone()[0]
    assert "status" in error and "null" in error
    assert "private words" not in error


def test_missing_tables_make_no_dead_letters(folder: Path, database_url: str) -> None:
    database = make_database(database_url, tables=False)
    spool = Spool(folder, destination=database.fingerprint)
    spool.append("sms", make_body("early"))
    drain = Drain(spool, database)
    with pytest.raises(StorageUnavailableError, match="db upgrade"):
        drain.run_once()
    assert "db upgrade" in (drain.state.error or "")
    assert spool.waiting().entries == 1
    create_tables(database.engine)
    assert drain.run_once() == 1
    assert drain.state.error is None
    assert spool.waiting().dead_letters == 0


def test_table_that_no_entry_fits_makes_no_dead_letters(folder: Path, database_url: str) -> None:
    """What hits every entry is the database's fault, even where its error speaks of the statement."""
    database = make_database(database_url)
    spool = Spool(folder, destination=database.fingerprint)
    for number in range(5):
        spool.append("sms", make_body(f"{number}"))
    with database.write() as connection:
        connection.execute(text("ALTER TABLE melody_sms_log RENAME COLUMN purpose TO something"))
    drain = Drain(spool, database)
    with pytest.raises(Exception, match=r"purpose|upgrade"):
        drain.run_once()
    with database.write() as connection:
        connection.execute(text("ALTER TABLE melody_sms_log RENAME COLUMN something TO purpose"))
    assert drain.run_once() == 5
    assert spool.waiting().dead_letters == 0


def test_commit_whose_answer_is_lost_is_not_repeated(folder: Path, database_url: str) -> None:
    database = make_database(database_url)
    spool = Spool(folder, destination=database.fingerprint)
    for number in range(10):
        spool.append("sms", make_body(f"{number}"))
    cut = True

    @event.listens_for(database.engine, "commit")
    def lose_the_answer(connection: object) -> None:
        nonlocal cut
        if cut:
            cut = False
            connection.connection.dbapi_connection.commit()  # type: ignore[attr-defined]
            raise OperationalError("COMMIT", {}, Exception("server closed the connection"))

    drain = Drain(spool, database)
    with pytest.raises(OperationalError):
        drain.run_once()
    assert spool.waiting().entries == 10
    assert drain.run_once() == 0
    assert count_marks(database) == {f"{number}": 1 for number in range(10)}
    assert spool.waiting().entries == 0


def test_lost_entries_are_reported_once_however_often_it_is_tried(folder: Path, database_url: str) -> None:
    folder.write_text("in the way")
    database = make_database(database_url, tables=False)
    spool = Spool(folder, destination=database.fingerprint)
    answers = [spool.append("sms", make_body(f"{number}")) for number in range(MEMORY_ENTRIES + 30)]
    assert answers.count(None) == 30
    drain = Drain(spool, database)
    with pytest.raises(StorageUnavailableError):
        drain.run_once()
    create_tables(database.engine)
    assert drain.run_once() == MEMORY_ENTRIES
    drain.run_once()
    assert count_gaps(database) == {"sms": 30}
    with database.read() as connection:
        gap = connection.execute(select(Gap.first_at, Gap.last_at, Gap.recorded_at)).one()
    assert gap.first_at <= gap.last_at
    assert abs((gap.recorded_at - gap.last_at).total_seconds()) < 60


def test_file_that_is_busy_for_a_moment_is_appended_to_again(folder: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    spool = Spool(folder, destination=database.fingerprint)
    spool.append("email", make_body("first"))
    (path,) = folder.glob("*.spool")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert Drain(spool, database).run_once(adopt=False) == 1
        assert other.execute("SELECT count(*) FROM entry").fetchone() == (1,), "the delete was refused"
        other.execute("ROLLBACK")
        spool.append("email", make_body("second"))
        assert list(folder.glob("*.spool")) == [path]
        assert Drain(spool, database).run_once(adopt=False) == 1
        assert other.execute("SELECT count(*) FROM entry").fetchone() == (0,)
    assert count_marks(database) == {"first": 1, "second": 1}
    spool.close()


def test_big_entries_come_in_batches_of_their_own(folder: Path, database_url: str) -> None:
    database = make_database(database_url)
    spool = Spool(folder, destination=database.fingerprint)
    for number in range(12):
        spool.append("sms", make_body(f"{number}", content="x" * 1_500_000))
    drain = Drain(spool, database)
    assert drain.run_once() == 12
    assert drain.state.batches == 4
    assert set(count_marks(database).values()) == {1}


def test_wait_until_drains_where_no_thread_may_run(folder: Path, database_url: str) -> None:
    database = make_database(database_url)
    spool = Spool(folder, destination=database.fingerprint)
    drain = Drain(spool, database)
    number = spool.append("sms", make_body("one"))
    assert number is not None
    assert drain.wait_until(number, 5)
    assert count_marks(database) == {"one": 1}


def test_wait_until_gives_up_quietly_without_a_database(folder: Path, tmp_path: Path) -> None:
    database = make_database("postgresql+psycopg://nobody@127.0.0.1:1/none", tables=False)
    spool = Spool(folder, destination=database.fingerprint)
    number = spool.append("sms", make_body("one"))
    assert number is not None
    started_at = time.monotonic()
    assert not Drain(spool, database).wait_until(number, 1)
    assert time.monotonic() - started_at < 10
    assert spool.waiting().entries == 1


def test_progress_outlives_its_spool_for_90_days(folder: Path, database_url: str) -> None:
    database = make_database(database_url)
    spool = Spool(folder, destination=database.fingerprint)
    spool.append("sms", make_body("one"))
    Drain(spool, database).run_once()
    with database.write() as connection:
        assert forget_old_progress(connection, database.now(connection)) == 0
        connection.execute(text("UPDATE melody_spool_progress SET updated_at = '2020-01-01 00:00:00.000000'"))
        assert forget_old_progress(connection, database.now(connection)) == 1
        assert connection.scalars(select(SpoolProgress.spool)).all() == []


def test_heartbeat_is_one_row_a_name(database_url: str) -> None:
    database = make_database(database_url)
    for detail in ("first", "second", None):
        with database.write() as connection:
            note_heartbeat(connection, "drain", database.now(connection), detail)
    with database.read() as connection:
        assert [tuple(row) for row in connection.execute(select(Heartbeat.name, Heartbeat.detail))] == [("drain", None)]
