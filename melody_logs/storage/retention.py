"""Deleting what is older than a cutoff: what it would be, and a bounded window of it at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, func, literal_column, select, type_coerce

from ..vocabulary import Kind
from .columns import UtcDateTime
from .database import Database
from .models import TABLES, CountryTotal, HourlyTotal
from .rows import is_one_of
from .totals import TotalsChange, day_of, hour_of


@dataclass(frozen=True, slots=True)
class Preview:
    """What a clean would delete: number of rows, their bytes, and when the oldest and newest were recorded."""

    rows: int
    bytes: int
    oldest_at: datetime | None
    newest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """The ids between which nearly all rows below a cutoff lie; None where there is none."""

    first_id: int | None
    last_id: int | None


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a window deleted."""

    rows: int
    bytes: int


def preview_clean(database: Database, kind: Kind, cutoff: datetime) -> Preview:
    """Count exactly what lies below *cutoff* by ``recorded_at``: whole hours from the totals, the rest from rows."""
    table = TABLES[kind]
    totals: Any = HourlyTotal.__table__
    hour = hour_of(cutoff)
    with database.read() as connection:
        whole = connection.execute(
            select(func.sum(totals.c.row_count), func.sum(totals.c.byte_count)).where(
                totals.c.kind == kind, totals.c.hour < hour
            )
        ).one()
        part = connection.execute(
            select(func.count(), func.sum(table.c.stored_bytes)).where(
                table.c.recorded_at >= hour, table.c.recorded_at < cutoff
            )
        ).one()
        ends = connection.execute(
            select(func.min(table.c.recorded_at), func.max(table.c.recorded_at)).where(table.c.recorded_at < cutoff)
        ).one()
    return Preview(int((whole[0] or 0) + part[0]), int((whole[1] or 0) + (part[1] or 0)), ends[0], ends[1])


def find_bounds(connection: Connection, kind: Kind, cutoff: datetime) -> Bounds:
    """Find the first and last id below *cutoff* by the index on ``recorded_at``.

    Ids rise with ``recorded_at`` but where older rows were imported, or the database's clock was set back;
    :func:`delete_stragglers` takes those.
    """
    table = TABLES[kind]
    below = select(table.c.id).where(table.c.recorded_at < cutoff).limit(1)
    first = connection.scalar(below.order_by(table.c.recorded_at, table.c.id))
    last = connection.scalar(below.order_by(table.c.recorded_at.desc(), table.c.id.desc()))
    return Bounds(first, last)


def delete_window(connection: Connection, kind: Kind, cutoff: datetime, *, after_id: int, last_id: int) -> Deleted:
    """Delete the rows with ``after_id < id <= last_id`` that are below *cutoff*, and keep the totals."""
    table = TABLES[kind]
    window = and_(table.c.id > after_id, table.c.id <= last_id, table.c.recorded_at < cutoff)
    return _delete_counted(connection, kind, window)


def delete_stragglers(connection: Connection, kind: Kind, cutoff: datetime, *, limit: int) -> Deleted:
    """Delete up to *limit* rows below *cutoff* wherever their ids lie."""
    table = TABLES[kind]
    oldest = select(table.c.id).where(table.c.recorded_at < cutoff).order_by(table.c.recorded_at).limit(limit)
    ids = list(connection.scalars(oldest))
    return _delete_counted(connection, kind, is_one_of(connection, table.c.id, ids)) if ids else Deleted(0, 0)


def next_id(connection: Connection, kind: Kind, after_id: int) -> int | None:
    """Find the next id above *after_id*, to step over a stretch without rows."""
    table = TABLES[kind]
    return connection.scalar(select(func.min(table.c.id)).where(table.c.id > after_id))


def drop_empty_totals(connection: Connection, kind: Kind, cutoff: datetime) -> None:
    """Delete the totals of hours, and of a sign-in's days, below *cutoff* that have become zero."""
    if kind == "sign-in":
        days: Any = CountryTotal.__table__
        connection.execute(delete(days).where(days.c.day <= day_of(cutoff), days.c.row_count == 0))
    totals: Any = HourlyTotal.__table__
    connection.execute(
        delete(totals).where(
            totals.c.kind == kind,
            totals.c.hour <= hour_of(cutoff),
            totals.c.row_count == 0,
            totals.c.byte_count == 0,
        )
    )


def _delete_counted(connection: Connection, kind: Kind, window: Any) -> Deleted:
    """Delete and sum in one statement where the database can; else sum the locked rows first."""
    table = TABLES[kind]
    if connection.dialect.name == "postgresql":
        gone = delete(table).where(window).returning(*_total_columns(table, kind)).cte("gone")
        groups = connection.execute(_grouped(gone, kind, "postgresql")).all()
    else:
        locked = select(*_total_columns(table, kind)).where(window).with_for_update().subquery("gone")
        groups = connection.execute(_grouped(locked, kind, connection.dialect.name)).all()
        connection.execute(delete(table).where(window))
    change = TotalsChange()
    for group in groups:
        change.add(
            kind,
            group.hour,
            event=group.event,
            outcome=group.outcome,
            country=group.country,
            stored_bytes=-int(group.stored_bytes),
            rows=-group.row_count,
        )
    change.apply(connection)
    return Deleted(sum(group.row_count for group in groups), sum(int(group.stored_bytes) for group in groups))


def _total_columns(table: Any, kind: Kind) -> list[Any]:
    common = [table.c.recorded_at, table.c.stored_bytes]
    if kind == "sign-in":
        return [*common, table.c.event, table.c.outcome, table.c.country]
    return [*common, table.c.status]


def _grouped(gone: Any, kind: Kind, dialect_name: str) -> Select[Any]:
    hour = _hour_expression(gone.c.recorded_at, dialect_name).label("hour")
    if kind == "sign-in":
        keys = [gone.c.event, gone.c.outcome, gone.c.country]
    else:
        nothing: list[Any] = [literal_column("''").label("event"), literal_column("NULL").label("country")]
        keys = [*nothing, gone.c.status.label("outcome")]
    counted = [func.count().label("row_count"), func.sum(gone.c.stored_bytes).label("stored_bytes")]
    groups = keys if kind == "sign-in" else [gone.c.status]
    return select(hour, *keys, *counted).group_by(literal_column("hour"), *groups)


def _hour_expression(column: Any, dialect_name: str) -> Any:
    if dialect_name == "postgresql":
        return type_coerce(func.date_trunc("hour", column, "UTC"), UtcDateTime())
    if dialect_name == "sqlite":
        return type_coerce(func.substr(column, 1, 13).concat(":00:00.000000"), UtcDateTime())
    return type_coerce(func.date_format(column, "%Y-%m-%d %H:00:00.000000"), UtcDateTime())
