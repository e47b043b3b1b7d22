"""Our tables' versions: an Alembic environment and a version table of our own, beside whatever the host has."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from flask_migrate import Config
from sqlalchemy import Connection, event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateSchema, CreateTable, DropIndex, DropTable

from ..errors import MelodyLogsError, StorageUnavailableError
from ..resources import MIGRATIONS
from . import mariadb
from .columns import VERSION_TABLE
from .database import Database
from .destination import show_url
from .engine import WRITES

_LOCK_KEY = 0x6D656C6F
#: Alembic keeps what it works on in globals of its modules.
_alembic_lock = threading.Lock()
_INSUFFICIENT_PRIVILEGE = "42501"  # PostgreSQL, appendix A


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the log tables to *revision*, making the schema on PostgreSQL if it is not there.

    Two upgrades at once are harmless: the second waits and finds nothing to do.

    :raise StorageUnavailableError: if the database user may not create the schema (the message has the statement), or
        a newer melody_logs made the tables.
    :raise MelodyLogsError: if there is no such revision.
    """
    # The tables of a temporary database came with its file: they only have no version yet.
    bring = command.stamp if database.destination.temporary else command.upgrade
    _run(database, bring, revision)


def downgrade(database: Database, revision: str) -> None:
    """Take the log tables back to *revision*; ``base`` removes them with all that is in them.

    :raise MelodyLogsError: as :func:`upgrade`.
    """
    _run(database, command.downgrade, revision)


def current_revision(database: Database) -> str | None:
    """Read the revision of the tables; None if there are none."""
    with database.read() as connection:
        return _migration_context(database, connection).get_current_revision()


def head_revision() -> str:
    """Name the newest revision that this version of melody_logs has."""
    return known_revisions()[0]


@functools.cache
def known_revisions() -> tuple[str, ...]:
    """List the revisions that this version of melody_logs has, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def find_misfit(database: Database, current: str | None) -> str | None:
    """Say in a sentence, with the remedy, why tables of the revision *current* are not those that we use, or None."""
    if current == head_revision() or database.destination.temporary:
        return None
    shown = show_url(database.url)
    if current is None:
        return f'the log tables are not there in {shown}: run "flask melody-logs db upgrade"'
    text = f"the log tables in {shown} are at version {current}"
    if current in known_revisions():
        return f'{text}, but this melody_logs needs {head_revision()}: run "flask melody-logs db upgrade"'
    return (
        f"{text}, which this melody_logs does not know (its newest is {head_revision()}): install the release that "
        f'made them, or run "flask melody-logs db downgrade {head_revision()}" with that release'
    )


def refuse_misfit(database: Database) -> None:
    """Check that tables which say their version say that of this melody_logs.

    :raise StorageUnavailableError: if they are older or newer; the message has the remedy.
    """
    current = current_revision(database)
    misfit = find_misfit(database, current)
    if current is not None and misfit is not None:
        raise StorageUnavailableError(misfit)


def _migration_context(database: Database, connection: Connection) -> MigrationContext:
    options = {"version_table": VERSION_TABLE, "version_table_schema": database.destination.schema}
    return MigrationContext.configure(connection, opts=options)


def _run(database: Database, work: Callable[[Config, str], Any], revision: str) -> None:
    schema = database.destination.schema
    with _alembic_lock, database.engine.connect() as connection:
        # On SQLite: a second upgrade waits at its first statement, not when it has seen the tables missing.
        connection.execution_options(**{WRITES: True})
        with _only_one(connection):
            try:
                _make_schema(connection, schema)
                config = Config(str(MIGRATIONS / "alembic.ini"))
                config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
                config.attributes |= {"connection": connection, "schema": schema}
                work(config, revision)
                connection.commit()
            except CommandError as error:
                current = _migration_context(database, connection).get_current_revision()
                raise _explain_unknown(database, current, revision) from error
            except DBAPIError as error:
                _explain_denied(connection, schema, error)
                raise


@contextmanager
def _only_one(connection: Connection) -> Iterator[None]:
    """Let a second upgrade wait until the first is done, where the transaction itself does not."""
    if mariadb.is_mariadb(connection.dialect.name):
        mariadb.limit_statements(connection, 0)
        event.listen(connection, "before_execute", _make_repeatable, retval=True)
        with mariadb.session_lock(connection, f"melody_logs_upgrade:{connection.engine.url.database}", seconds=3600):
            yield
    elif connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_lock(_LOCK_KEY)))
        connection.commit()
        try:
            yield
        finally:
            connection.rollback()
            connection.execute(select(func.pg_advisory_unlock(_LOCK_KEY)))
            connection.commit()
    else:
        yield


def _explain_unknown(database: Database, current: str | None, revision: str) -> MelodyLogsError:
    """Say which revision is unknown: that of the tables, or the one that was asked for."""
    if current not in (None, *known_revisions()):
        return StorageUnavailableError(find_misfit(database, current))
    known = ", ".join(reversed(known_revisions()))
    return MelodyLogsError(f'the log tables have no version "{revision}": name one of {known}, or base')


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)


def _make_repeatable(connection: Connection, statement: Any, *rest: Any) -> Any:
    """Let a migration that broke off be run again: MariaDB commits after each change of a table."""
    if isinstance(statement, CreateTable | CreateIndex):
        statement.if_not_exists = True
    elif isinstance(statement, DropTable | DropIndex):
        statement.if_exists = True
    return statement, *rest[:2]


def _explain_denied(connection: Connection, schema: str | None, error: DBAPIError) -> None:
    url = connection.engine.url
    if mariadb.says_access_denied(error):
        remedy = f"GRANT ALL PRIVILEGES ON `{url.database}`.* TO '{url.username}'"
    elif _sqlstate(error) == _INSUFFICIENT_PRIVILEGE:
        remedy = f"GRANT CREATE, USAGE ON SCHEMA {schema or 'public'} TO {url.username}"
    else:
        return
    raise StorageUnavailableError(
        f'the database user "{url.username}" may not change the log tables: let their owner run the upgrade, '
        f"or run {remedy}"
    ) from error


def _make_schema(connection: Connection, schema: str | None) -> None:
    if schema is None or connection.dialect.has_schema(connection, schema):
        return
    try:
        connection.execute(CreateSchema(schema, if_not_exists=True))
    except DBAPIError as error:
        user = connection.engine.url.username
        raise StorageUnavailableError(
            f'the database user "{user}" may not create the schema "{schema}": let an owner run '
            f"CREATE SCHEMA {schema} AUTHORIZATION {user}, or name another in MELODY_LOGS_SCHEMA"
        ) from error
