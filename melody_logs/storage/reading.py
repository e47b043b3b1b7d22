"""Reads on PostgreSQL: a statement goes to the server in one message with its time limit, in no transaction of ours.

Several statements in one message of the simple query protocol are a transaction of their own, which ends with the
message (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT). So the limit is
gone with it, also behind PgBouncer, where the session is somebody else's next; and there is no BEGIN and no ROLLBACK to
wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, event

#: The execution option that holds what is said before each statement.
_BEFORE = "melody_logs_before_each_statement"


def _execute_by_psycopg(cursor: Any, statement: str, parameters: Any, before: str) -> None:
    from psycopg import ClientCursor

    # Only a message without parameters may have several statements.
    merged = ClientCursor(cursor.connection).mogrify(statement, parameters)
    cursor.execute(before + merged, prepare=False)
    while cursor.nextset():
        # The results before the last one are of what was said before the statement.
        pass


def _execute_by_psycopg2(cursor: Any, statement: str, parameters: Any, before: str) -> None:
    # It merges the parameters itself, and keeps the last result alone.
    cursor.execute(before + statement, parameters)


_EXECUTE: Mapping[str, Callable[[Any, str, Any, str], None]] = {
    "psycopg": _execute_by_psycopg,
    "psycopg2": _execute_by_psycopg2,
}


def can_limit_statements(connection: Connection) -> bool:
    """Say whether :func:`limit_statements` works with the driver of *connection*."""
    return connection.dialect.driver in _EXECUTE


def limit_statements(connection: Connection, seconds: float) -> None:
    """Let each statement of *connection* read only, end after *seconds*, and be a transaction of its own.

    It lasts until the connection is given back.
    """
    before = f"SET LOCAL statement_timeout = {round(seconds * 1000)}; SET LOCAL transaction_read_only = on; "
    connection.execution_options(isolation_level="AUTOCOMMIT", **{_BEFORE: before})


def listen(engine: Engine) -> None:
    """Let *engine* know the connections of :func:`limit_statements`."""
    execute = _EXECUTE.get(engine.dialect.driver)
    if execute is None:
        return

    @event.listens_for(engine, "do_execute")
    def on_execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        before = context.execution_options.get(_BEFORE) if context is not None else None
        if before is None:
            return False
        execute(cursor, statement, parameters, before)
        return True
