"""Migrations: the tables they make are the models', up and down, beside each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url

from melody_logs.errors import StorageUnavailableError
from melody_logs.storage.database import Database
from melody_logs.storage.destination import Destination
from melody_logs.storage.models import METADATA
from melody_logs.storage.schema import VERSION_TABLE, current_revision, downgrade, head_revision, upgrade

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
