"""Positions: the numbers that rise with each visible change of a row."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from ..vocabulary import Kind
from .models import Position


def allocate_positions(connection: Connection, kind: Kind, count: int) -> int:
    """Reserve *count* positions of a kind under the write lock; return the first."""
    table = Position.__table__
    raised = update(Position).where(table.c.kind == kind).values(value=table.c.value + count)
    last: int | None
    if connection.dialect.update_returning:
        last = connection.scalar(raised.returning(table.c.value))
    else:
        connection.execute(raised)
        last = connection.scalar(select(table.c.value).where(table.c.kind == kind))
    if last is None:
        connection.execute(insert(Position).values(kind=kind, value=count))
        last = count
    return last - count + 1
