"""Many rows in one statement, where the database can: PostgreSQL takes them by COPY or as one JSON text.

Row by row, each statement would be parsed and planned anew, because nothing is prepared (PgBouncer); and a list of
VALUES has thousands of parameters, which cost the driver more than the database. The other databases take rows one by
one without such a cost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Connection,
    String,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    update,
)

from .copying import can_copy, copy_rows
from .mariadb import is_mariadb, refuse_too_large

Row = Mapping[str, Any]


def insert_rows(
    connection: Connection, table: Table, names: Sequence[str], rows: Iterable[Row], shared: Row, *, by_copy: bool
) -> None:
    """Insert rows, given by column name and of the columns *names*, and give each the *shared* values.

    What a row does not name is NULL. Their ids rise in this order. The rows may be made while they are sent.

    :param by_copy: use COPY where the driver can; worth it for many rows.
    """
    if connection.dialect.name != "postgresql":
        blank = {**dict.fromkeys(names), **shared}
        full = [{**blank, **row} for row in rows]
        if is_mariadb(connection.dialect.name):
            refuse_too_large(connection, full)
        connection.execute(insert(table), full)
    elif by_copy and can_copy(connection):
        copy_rows(connection, table, names, rows, shared)
    else:
        connection.execute(_insert_statement(table, tuple(names), tuple(shared)), _parameters(list(rows), shared))


def update_rows(connection: Connection, table: Table, rows: Sequence[Row], shared: Row) -> None:
    """Set columns of the rows that ``row_id``, beside the columns, names, and the *shared* values in each.

    All mappings have the same columns.
    """
    names = tuple(name for name in rows[0] if name != "row_id")
    if connection.dialect.name != "postgresql":
        if is_mariadb(connection.dialect.name):
            refuse_too_large(connection, rows)
        given: dict[str, Any] = {name: bindparam(name) for name in names}
        statement = update(table).where(table.c.id == bindparam("row_id")).values({**given, **shared})
        connection.execute(statement, rows)
        return
    connection.execute(_update_statement(table, names, tuple(shared)), _parameters(rows, shared))


def is_one_of(connection: Connection, column: Any, ids: Sequence[int]) -> Any:
    """Say that *column* is one of many *ids*: on PostgreSQL one parameter, not one for each."""
    if connection.dialect.name != "postgresql":
        return column.in_(ids)
    return is_one_of_text(column, to_text(ids))


def is_one_of_text(column: Any, ids: str | None = None) -> Any:
    """Say on PostgreSQL that *column* is one of the ids in a :func:`to_text`, given now or as ``ids`` later."""
    return column == any_(cast(bindparam("ids", ids, type_=Text()), ARRAY(BigInteger())))


def to_text(ids: Sequence[int]) -> str:
    """Write numbers as PostgreSQL's text of an array: the drivers take a list apart number by number."""
    return f"{{{','.join(map(str, ids))}}}"


def to_records(rows: Sequence[Row]) -> str:
    """Write rows as the JSON that :func:`records_of` reads, in its parameter ``records``."""
    return json.dumps(rows, default=datetime.isoformat, ensure_ascii=False, separators=(",", ":"))


def records_of(table: Table, names: Sequence[str], *more: Any) -> Any:
    """Read the rows of a :func:`to_records` on PostgreSQL: columns of *table* by name, and *more* columns."""
    given = cast(bindparam("records", type_=Text()), JSON())
    columns = (column(name, _bare_type(table.c[name].type)) for name in names)
    return func.json_to_recordset(given).table_valued(*more, *columns).render_derived(name="records", with_types=True)


@lru_cache(64)
def _insert_statement(table: Table, names: tuple[str, ...], shared: tuple[str, ...]) -> Any:
    records = records_of(table, names)
    values = [records.c[name] for name in names] + [_shared_value(table, name) for name in shared]
    return insert(table).from_select((*names, *shared), select(*values), include_defaults=False)


@lru_cache(64)
def _update_statement(table: Table, names: tuple[str, ...], shared: tuple[str, ...]) -> Any:
    records = records_of(table, names, column("row_id", BigInteger))
    values = {name: records.c[name] for name in names} | {name: _shared_value(table, name) for name in shared}
    return update(table).where(table.c.id == records.c.row_id).values(values)


def _shared_value(table: Table, name: str) -> Any:
    # Cast: in the list of a SELECT, PostgreSQL would take a bare parameter for text.
    return cast(bindparam(f"shared_{name}", type_=table.c[name].type), table.c[name].type)


def _bare_type(type_: Any) -> Any:
    # Text of any length here: what is too long for its column must be an error of the column, and a named one.
    return Text() if isinstance(type_, String) else type_


def _parameters(rows: Sequence[Row], shared: Row) -> dict[str, Any]:
    return {"records": to_records(rows), **{f"shared_{name}": value for name, value in shared.items()}}
