"""Totals of rows and bytes, kept in the transactions that insert, change and delete rows."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from ..vocabulary import Kind
from .models import CountryTotal, HourlyTotal, Total

UNKNOWN_COUNTRY = "ZZ"


def hour_of(moment: datetime) -> datetime:
    """Cut a UTC instant to its hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    """Cut a UTC instant to its day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


class TotalsChange:
    """Collects what a transaction adds to the totals and takes from them; :meth:`apply` is its last statement."""

    def __init__(self) -> None:
        self._rows: Counter[tuple[str, datetime, str, str]] = Counter()
        self._bytes: Counter[tuple[str, datetime, str, str]] = Counter()
        self._countries: Counter[tuple[datetime, str, str, str]] = Counter()
        self._moment: datetime | None = None
        self._hour = self._day = datetime.min

    def add(
        self,
        kind: Kind,
        recorded_at: datetime,
        *,
        event: str,
        outcome: str,
        country: str | None,
        stored_bytes: int,
        rows: int = 1,
    ) -> None:
        """Add *rows* rows of *stored_bytes* bytes in all; negative numbers take away. Messages have no event."""
        self._look_at(recorded_at)
        key = (kind, self._hour, event, outcome)
        self._rows[key] += rows
        self._bytes[key] += stored_bytes
        if kind == "sign-in":
            self._countries[(self._day, country or UNKNOWN_COUNTRY, event, outcome)] += rows

    def move(self, row: Any, *, country: str | None, added_bytes: int, rows: int) -> None:
        """Count *rows* sign-ins that were like *row* as ones of another *country*, *added_bytes* larger in all."""
        self._look_at(row.recorded_at)
        key = ("sign-in", self._hour, row.event, row.outcome)
        self._rows[key] += 0
        self._bytes[key] += added_bytes
        if country != row.country:
            self._countries[(self._day, row.country or UNKNOWN_COUNTRY, row.event, row.outcome)] -= rows
            self._countries[(self._day, country or UNKNOWN_COUNTRY, row.event, row.outcome)] += rows

    def _look_at(self, moment: datetime) -> None:
        if moment is not self._moment:
            # The rows of a batch have one instant.
            self._moment, self._hour, self._day = moment, hour_of(moment), day_of(moment)

    def apply(self, connection: Connection) -> None:
        """Write the changes in the order of their keys, so that two transactions cannot deadlock."""
        hourly = [
            dict(kind=key[0], hour=key[1], event=key[2], outcome=key[3], row_count=rows, byte_count=self._bytes[key])
            for key, rows in sorted(self._rows.items())
            if rows or self._bytes[key]
        ]
        totals: Counter[tuple[str, str, str]] = Counter()
        sizes: Counter[tuple[str, str, str]] = Counter()
        for (kind, _, event, outcome), rows in self._rows.items():
            totals[(kind, event, outcome)] += rows
            sizes[(kind, event, outcome)] += self._bytes[(kind, _, event, outcome)]
        overall = [
            dict(kind=key[0], event=key[1], outcome=key[2], row_count=rows, byte_count=sizes[key])
            for key, rows in sorted(totals.items())
            if rows or sizes[key]
        ]
        daily = [
            dict(day=key[0], country=key[1], event=key[2], outcome=key[3], row_count=rows)
            for key, rows in sorted(self._countries.items())
            if rows
        ]
        _add(connection, HourlyTotal.__table__, ("row_count", "byte_count"), hourly)
        _add(connection, Total.__table__, ("row_count", "byte_count"), overall)
        _add(connection, CountryTotal.__table__, ("row_count",), daily)


def sum_rows(connection: Connection) -> dict[str, int]:
    """Read how many rows of each kind there are."""
    table: Any = Total.__table__
    sums = select(table.c.kind, func.sum(table.c.row_count)).group_by(table.c.kind)
    return {kind: int(rows) for kind, rows in connection.execute(sums)}


def _add(connection: Connection, table: Any, counters: tuple[str, ...], changes: list[dict[str, Any]]) -> None:
    if changes:
        connection.execute(upsert_adding(connection.dialect.name, table, counters), changes)


@lru_cache(16)
def upsert_adding(dialect_name: str, table: Table, counters: tuple[str, ...]) -> Any:
    """Build an INSERT that adds to *counters* where the key is there already, in the words of the database."""
    if dialect_name in ("mysql", "mariadb"):
        added = mysql.insert(table)
        return added.on_duplicate_key_update({name: table.c[name] + added.inserted[name] for name in counters})
    insert: Any = (sqlite if dialect_name == "sqlite" else postgresql).insert(table)
    return insert.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: table.c[name] + insert.excluded[name] for name in counters},
    )
