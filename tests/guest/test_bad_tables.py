"""Hosts whose log tables are missing, older, newer or forbidden: one sentence says so, and their requests go on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url, text

from melody_logs.resources import MIGRATIONS
from melody_logs.state import state_of
from melody_logs.storage import schema
from tests.guest.troubled import TroubledHost, one_sentence

MakeTrouble = Callable[..., TroubledHost]
#: Switches to a release with one more version of the tables (True), and back.
Switch = Callable[[bool], None]


def test_host_that_forgot_the_upgrade(trouble: MakeTrouble, database_url: str) -> None:
    host = trouble(MELODY_LOGS_DATABASE_URI=database_url)
    host.sign_in("ann", "bob")
    said = host.find_bad("Tables")
    assert "are not there in" in said and said.endswith('run "flask melody-logs db upgrade"')
    host.assert_pages_are_closed()
    host.assert_api_is_closed()
    assert "are missing" in one_sentence(host.command("client", "list", exit_code=1))
    host.assert_waiting(2)
    host.command("db", "upgrade")
    host.sign_in("cem")
    host.assert_recorded("ann", "bob", "cem")


#: A version after the newest, which adds a column.
LATER = """
import sqlalchemy as sa
from alembic import context, op

revision, down_revision = "later", "{head}"


def change():
    return op.batch_alter_table("melody_sign_in_log", schema=context.config.attributes["schema"])


def upgrade():
    with change() as table:
        table.add_column(sa.Column("{column}", sa.String(64), nullable={nullable}))


def downgrade():
    with change() as table:
        table.drop_column("{column}")
"""


@pytest.fixture
def make_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Switch]]:
    """A function that makes a release with one more version of the tables: it gives the switch to it and back."""

    def make(column: str, *, nullable: bool) -> Switch:
        folder = tmp_path / "migrations"
        shutil.copytree(MIGRATIONS, folder)
        source = LATER.format(head=schema.head_revision(), column=column, nullable=nullable)
        (folder / "versions" / "later.py").write_text(source)

        def switch(later: bool) -> None:
            monkeypatch.setattr(schema, "MIGRATIONS", folder if later else MIGRATIONS)
            schema.known_revisions.cache_clear()

        return switch

    yield make
    monkeypatch.undo()
    schema.known_revisions.cache_clear()


def test_tables_of_an_older_release(
    trouble: MakeTrouble, database_url: str, make_release: Callable[..., Switch]
) -> None:
    """The host has installed a release that needs one more column, and forgot its upgrade."""
    host = trouble(MELODY_LOGS_DATABASE_URI=database_url)
    host.command("db", "upgrade")
    database = state_of(host.app).database
    with database.transaction() as connection:
        prefix = f"{database.destination.schema}." if database.destination.schema else ""
        connection.execute(text(f"ALTER TABLE {prefix}melody_sign_in_log DROP COLUMN reason"))
    head = schema.head_revision()
    make_release("reason", nullable=True)(True)
    host.sign_in("ann", "bob")
    said = host.find_bad("Tables")
    assert f"are at version {head}, but this melody_logs needs later" in said
    assert said.endswith('run "flask melody-logs db upgrade"')
    assert "of another version" in one_sentence(host.command("drain", exit_code=1))
    host.assert_waiting(2)
    host.command("db", "upgrade")
    host.sign_in("cem")
    host.assert_recorded("ann", "bob", "cem")


def test_tables_of_a_newer_release(
    trouble: MakeTrouble, database_url: str, make_release: Callable[..., Switch]
) -> None:
    """The host went back to a release before the tables: what they refuse is kept, and not for its own sake."""
    host = trouble(MELODY_LOGS_DATABASE_URI=database_url)
    head = schema.head_revision()
    switch = make_release("tenant", nullable=False)
    switch(True)
    host.command("db", "upgrade")
    switch(False)
    host.sign_in("ann", "bob")
    said = host.find_bad("Tables")
    assert "are at version later, which this melody_logs does not know" in said
    assert said.endswith(f'or run "flask melody-logs db downgrade {head}" with that release')
    for command in (["drain"], ["db", "upgrade"], ["db", "downgrade", "base", "--yes"]):
        assert "does not know" in one_sentence(host.command(*command, exit_code=1))
    host.assert_waiting(2)
    switch(True)
    host.command("db", "downgrade", head, "--yes")
    switch(False)
    host.sign_in("cem")
    host.assert_recorded("ann", "bob", "cem")


@pytest.mark.parametrize("command", [["upgrade", "9999"], ["downgrade", "9999", "--yes"]])
def test_version_that_there_is_not(trouble: MakeTrouble, command: list[str]) -> None:
    host = trouble()
    said = one_sentence(host.command("db", *command, exit_code=1))
    assert 'no version "9999": name one of 0001' in said
    host.sign_in("ann")
    host.assert_recorded("ann")


@pytest.fixture
def owner(postgresql_url: str) -> Iterator[Connection]:
    """A connection of the server's owner, who has made a user without any right for the host."""
    engine = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE ROLE shop_app LOGIN"))
        yield connection
        connection.execute(text("DROP OWNED BY shop_app CASCADE"))
        connection.execute(text("DROP ROLE shop_app"))
    engine.dispose()


@pytest.fixture
def poor_host(trouble: MakeTrouble, postgresql_url: str, owner: Connection) -> Iterator[TroubledHost]:
    """A host that comes to its logs as that user."""
    url = make_url(postgresql_url).set(username="shop_app").render_as_string(hide_password=False)
    host = trouble(MELODY_LOGS_DATABASE_URI=url)
    yield host
    state_of(host.app).drain_thread.stop(5)
    state_of(host.app).database.close()


def test_user_who_may_not_make_the_schema(poor_host: TroubledHost, owner: Connection) -> None:
    host = poor_host
    host.sign_in("ann", "bob")
    host.find_bad("Tables")
    said = one_sentence(host.command("db", "upgrade", exit_code=1))
    assert 'the database user "shop_app" may not create the schema "melody_logs": ' in said
    host.assert_pages_are_closed()
    host.assert_waiting(2)
    statement = re.search(r"CREATE SCHEMA \w+ AUTHORIZATION \w+", said)
    assert statement is not None
    owner.execute(text(statement[0]))
    host.command("db", "upgrade")
    host.sign_in("cem")
    host.assert_recorded("ann", "bob", "cem")


def test_user_who_may_not_use_the_tables(
    poor_host: TroubledHost, owner: Connection, trouble: MakeTrouble, postgresql_url: str
) -> None:
    """The owner has made them, and forgot to let the host in."""
    trouble("owner", MELODY_LOGS_DATABASE_URI=postgresql_url).command("db", "upgrade")
    owner.execute(text("GRANT USAGE ON SCHEMA melody_logs TO shop_app"))
    poor_host.sign_in("ann")
    said = poor_host.find_bad("Database")
    assert "does not let us use the log tables (permission denied for table melody_alembic_version)" in said
    remedy = (
        'grant "shop_app" USAGE of the schema "melody_logs" and its sequences, and SELECT, INSERT, UPDATE and DELETE'
    )
    assert said.endswith(f"let their owner {remedy} of the tables")
    assert "permission denied for table" in one_sentence(poor_host.command("drain", exit_code=1))
    poor_host.assert_pages_are_closed()
    poor_host.assert_waiting(1)
    for right in ("SELECT, INSERT, UPDATE, DELETE ON ALL TABLES", "USAGE ON ALL SEQUENCES"):
        owner.execute(text(f"GRANT {right} IN SCHEMA melody_logs TO shop_app"))
    poor_host.assert_recorded("ann")
