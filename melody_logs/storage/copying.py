"""Many new rows by COPY, where the driver is psycopg: nothing is parsed, and rows are written while more are made.

Its text format: https://www.postgresql.org/docs/current/sql-copy.html. It goes through SQLAlchemy's own way of
executing, so that errors are wrapped and broken connections noticed as with any statement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, Table, event

#: The execution option that holds the rows: an iterator over their lines.
_LINES = "melody_logs_copied_lines"
_ROWS_A_MESSAGE = 100
#: What ends a field or a line, or begins an escape.
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def can_copy(connection: Connection) -> bool:
    """Say whether :func:`copy_rows` works with the driver of *connection*."""
    return connection.dialect.driver == "psycopg"


def copy_rows(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    shared: Mapping[str, Any],
) -> None:
    """Insert *rows*, of the columns *names* where they have them, each with the *shared* values.

    The rows may be made while they are sent. Other columns become their default, or NULL.
    """
    quote = connection.dialect.identifier_preparer.quote
    schema = (connection.get_execution_options().get("schema_translate_map") or {}).get(None)
    target = f"{quote(schema)}.{quote(table.name)}" if schema else quote(table.name)
    columns = ", ".join(map(quote, (*names, *shared)))
    lines = _write_lines(names, rows, [_to_text(value) for value in shared.values()])
    connection.exec_driver_sql(f"COPY {target} ({columns}) FROM STDIN", execution_options={_LINES: lines})


def listen(engine: Engine) -> None:
    """Let *engine* know the statements of :func:`copy_rows`."""
    if engine.dialect.driver != "psycopg":
        return

    @event.listens_for(engine, "do_execute")
    def on_execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        lines: Iterator[str] | None = context.execution_options.get(_LINES) if context is not None else None
        if lines is None:
            return False
        with cursor.copy(statement) as copy:
            while message := "".join(islice(lines, _ROWS_A_MESSAGE)):
                copy.write(message)
        return True


def _write_lines(names: Sequence[str], rows: Iterable[Mapping[str, Any]], shared: list[str]) -> Iterator[str]:
    end = "\t".join(["", *shared]) + "\n"
    tabs = len(names) - 1
    for row in rows:
        values = list(map(row.get, names))
        line = "\t".join([value if type(value) is str else _to_text(value) for value in values])
        # Most texts have nothing to escape: one look at the line instead of one at each field.
        if line.count("\t") != tabs or line.count("\\") != values.count(None) or "\n" in line or "\r" in line:
            line = "\t".join(map(_to_text, values))
        yield line + end


def _escape(text: str) -> str:
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text)


def _to_text(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return _escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
