"""Migrations: the tables they make are the models', up and down, beside each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, Table, create_engine, inspect, select, text
from sqlalchemy.engine import make_url

from melody_logs.errors import StorageUnavailableError
from melody_logs.resources import MIGRATIONS
from melody_logs.storage.columns import VERSION_TABLE, UtcDateTime
from melody_logs.storage.database import Database
from melody_logs.storage.destination import Destination
from melody_logs.storage.models import METADATA, LocationClaim, SignInLog
from melody_logs.storage.schema import current_revision, downgrade, head_revision, upgrade
from tests.storage.rows import NOW, make_database, read_all, sign_in, write

PROCESSES = partial(ProcessPoolExecutor, mp_context=get_context("spawn"))


def test_migrated_tables_are_those_of_the_models(database_url: str) -> None:
    database = Database(lambda: Destination(make_url(database_url), None))
    upgrade(database)
    assert current_revision(database) == head_revision()
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []


def test_downgrade_removes_every_table_and_upgrade_brings_them_back(database_url: str) -> None:
    database = Database(lambda: Destination(make_url(database_url), None))
    upgrade(database)
    downgrade(database, "base")
    assert set(inspect(database.engine).get_table_names()) <= {VERSION_TABLE, "sqlite_sequence"}
    assert current_revision(database) is None
    upgrade(database)
    assert current_revision(database) == head_revision()


def test_rows_stay_as_they_are_over_every_version(database_url: str) -> None:
    """Up from the first version to the newest and down again; each table has a row made by the first."""
    database = Database(lambda: Destination(make_url(database_url), None))
    revisions = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]
    upgrade(database, revisions[0])
    fill(database)
    before = read_rows(database)
    assert len(before) > 10
    for revision in revisions[1:]:
        upgrade(database, revision)
        assert_kept(before, read_rows(database))
    for revision in reversed(revisions[:-1]):
        downgrade(database, revision)
        assert_kept(before, read_rows(database))
    assert current_revision(database) == revisions[0]
    upgrade(database)
    assert_kept(before, read_rows(database))
    database.close()


def fill(database: Database) -> None:
    """Put a row into each table as it is now, whatever its columns: text of four-byte characters, and times."""
    moment = datetime(2026, 3, 14, 15, 9, 26, 535897)
    for table in reflect(database):
        values: dict[str, Any] = {}
        for number, column in enumerate(table.columns, 1):
            kind = column.type.python_type
            if kind is str:
                values[column.name] = (
                    "🎵"[: getattr(column.type, "length", None)] if "_at" not in column.name else f"{moment}"
                )
            else:
                values[column.name] = moment if kind is datetime else kind(number)
        with database.transaction() as connection:
            connection.execute(table.insert(), values)


def read_rows(database: Database) -> dict[str, dict[str, Any]]:
    """The only row of each table that has one."""
    found = {}
    for table in reflect(database):
        with database.read() as connection:
            row = connection.execute(select(table)).mappings().one_or_none()
        if row is not None:
            found[table.name] = dict(row)
    return found


def reflect(database: Database) -> list[Table]:
    """The tables as they are in the database now."""
    tables = MetaData()
    tables.reflect(database.engine)
    return [table for table in tables.sorted_tables if table.name != VERSION_TABLE]


def assert_kept(before: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> None:
    """Compare what each row had with what it has, where its column is still there."""
    for name, row in before.items():
        kept = {column: value for column, value in now[name].items() if column in row}
        assert kept == {column: row[column] for column in kept}, name


def test_claims_of_sign_ins_move_out_of_the_log_and_back(database_url: str) -> None:
    """Owner, lease and attempts of what waits are kept both ways, and the id of a deleted row does not come again."""
    database = make_database(database_url)
    write(database, sign_in(), sign_in(), sign_in(geo_state="not_applicable"), sign_in())
    downgrade(database, "0001")
    lease = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
    held = {"geo_attempts": 3, "geo_lease_owner": "worker", "geo_lease_until": lease}
    with database.transaction() as connection:
        log = old_log(database, connection)
        connection.execute(log.update().where(log.c.id == 1).values(held))
        connection.execute(log.update().where(log.c.geo_state == "not_applicable").values(geo_attempts=1))
        connection.execute(log.delete().where(log.c.id == 4))
    upgrade(database)
    with database.read() as connection:
        claims = [tuple(row) for row in connection.execute(select(LocationClaim.__table__))]
        attempts = list(connection.scalars(select(SignInLog.geo_attempts).order_by(SignInLog.id)))
    assert claims == [(1, "worker", lease, 3)]
    assert attempts == [0, 0, 1]
    write(database, sign_in())
    assert [row.id for row in read_all(database, "sign-in")] == [1, 2, 3, 5]
    downgrade(database, "0001")
    with database.transaction() as connection:
        log = old_log(database, connection)
        columns = (log.c.geo_attempts, log.c.geo_lease_owner, log.c.geo_lease_until)
        kept = [tuple(row) for row in connection.execute(select(*columns).order_by(log.c.id))]
    assert kept == [(3, "worker", lease), (0, None, None), (1, None, None), (0, None, None)]
    upgrade(database)


def test_counted_row_stays_as_one_attempt_where_nothing_is_counted_yet(database_url: str) -> None:
    database = make_database(database_url)
    write(database, sign_in(outcome="failure", folded_count=7, last_at=NOW, samples="[]"), sign_in())
    downgrade(database, "0002")
    upgrade(database)
    rows = read_all(database, "sign-in")
    assert [(row.outcome, row.folded_count, row.last_at, row.samples) for row in rows] == [
        ("failure", None, None, None),
        ("success", None, None, None),
    ]
    database.close()


def old_log(database: Database, connection: Connection) -> Table:
    """The sign-in log as revision 0001 made it."""
    name = "melody_sign_in_log"
    times: list[Column[Any]] = [Column("geo_lease_until", UtcDateTime())]
    return Table(name, MetaData(), *times, schema=database.destination.schema, autoload_with=connection)


@pytest.mark.parametrize("make_pool", [ThreadPoolExecutor, PROCESSES])
def test_upgrades_at_once_are_harmless(database_url: str, make_pool: Callable[[int], Executor]) -> None:
    with make_pool(2) as pool:
        futures = [pool.submit(upgrade_and_look, database_url) for _ in range(2)]
    assert [future.result() for future in futures] == [head_revision()] * 2


def upgrade_and_look(url: str) -> str | None:
    database = Database(lambda: Destination(make_url(url), "melody_logs" if url.startswith("postgresql") else None))
    upgrade(database)
    return current_revision(database)


def test_user_who_may_not_make_tables_gets_the_remedy(postgresql_url: str) -> None:
    owner = create_engine(postgresql_url)
    with owner.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS table_less"))
        connection.execute(text("CREATE ROLE table_less LOGIN"))
        connection.execute(text("CREATE SCHEMA melody_logs"))
        connection.execute(text("GRANT USAGE ON SCHEMA melody_logs TO table_less"))
    database = Database(lambda: Destination(make_url(postgresql_url).set(username="table_less"), "melody_logs"))
    try:
        with pytest.raises(StorageUnavailableError, match="GRANT CREATE, USAGE ON SCHEMA melody_logs TO table_less"):
            upgrade(database)
    finally:
        database.close()
        with owner.begin() as connection:
            connection.execute(text("DROP SCHEMA melody_logs CASCADE"))
            connection.execute(text("DROP ROLE table_less"))
        owner.dispose()


def test_schema_of_its_own_keeps_public_empty(postgresql_url: str) -> None:
    database = Database(lambda: Destination(make_url(postgresql_url), "audit"))
    upgrade(database)
    assert inspect(database.engine).get_table_names(schema="public") == []
    assert "melody_sign_in_log" in inspect(database.engine).get_table_names(schema="audit")


def test_user_without_the_right_to_make_a_schema_gets_the_statement(postgresql_url: str) -> None:
    owner = create_engine(postgresql_url)
    with owner.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS plain_user"))
        connection.execute(text("CREATE ROLE plain_user LOGIN"))
    database = Database(lambda: Destination(make_url(postgresql_url).set(username="plain_user"), "melody_logs"))
    try:
        with pytest.raises(StorageUnavailableError, match="CREATE SCHEMA melody_logs AUTHORIZATION plain_user"):
            upgrade(database)
    finally:
        database.close()
        with owner.begin() as connection:
            connection.execute(text("DROP ROLE plain_user"))
        owner.dispose()
