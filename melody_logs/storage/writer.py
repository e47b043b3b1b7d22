"""The only inserts and updates of log rows: a batch becomes rows, positions and totals in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from ..vocabulary import Kind
from .deliveries import DeliveryReport, join_reports
from .merging import merge_values
from .models import TABLES
from .positions import allocate_positions
from .rows import insert_rows, update_rows
from .totals import TotalsChange, hour_of

#: What a row costs beside its text: fixed columns, row header and index entries, measured on PostgreSQL 15.
FIXED_ROW_BYTES = 320
_IDS_A_QUERY = 500
#: Fewer rows are inserted as fast by a statement.
_COPY_FROM_ROWS = 20

#: Given by the writer, never by an entry.
_WRITER_COLUMNS = {"id", "position", "version", "recorded_at", "updated_at", "stored_bytes"}
_REQUIRED_DEFAULTS: dict[str, Any] = {
    "user_id_is_integer": False,
    "content_type": "text/plain",
    "content_bytes": 0,
    "event": "sign_in",
    "geo_state": "pending",
    "geo_attempts": 0,
}


#: Rows and bytes by hour, event, outcome or status, and country.
_Counted = defaultdict[tuple[datetime, str, str, str | None], list[int]]


class RowWrite(NamedTuple):
    """An entry on its way into its table.

    *values* by column name; *amends* if a row with its event id may be there; *recorded_at* where a new row is older
    than this transaction, because it was imported.
    """

    kind: Kind
    values: dict[str, Any]
    amends: bool = False
    recorded_at: datetime | None = None


def write_rows(
    connection: Connection, now: datetime, rows: Sequence[RowWrite | DeliveryReport], *, by_copy: bool = True
) -> None:
    """Insert the new rows and amend the known ones, join reports to their messages, with positions and totals.

    Call it under the write lock, as the last work of the transaction.

    :param now: the database's clock, which becomes ``recorded_at`` (unless a row has its own) and ``updated_at``.
    :param by_copy: insert many rows by COPY, where the database and its driver can.
    """
    change = TotalsChange()
    by_kind: dict[Kind, list[RowWrite]] = defaultdict(list)
    reports: list[DeliveryReport] = []
    written_ids: dict[Kind, set[str]] = defaultdict(set)
    for row in rows:
        if isinstance(row, DeliveryReport):
            reports.append(row)
            continue
        by_kind[row.kind].append(row)
        if provider_message_id := row.values.get("provider_message_id"):
            written_ids[row.kind].add(provider_message_id)
    for kind in sorted(by_kind):
        _write_kind(connection, now, kind, by_kind[kind], change, by_copy)
    if reports or written_ids:
        join_reports(connection, now, written_ids, reports, change)
    change.apply(connection)


def measure_row(values: dict[str, Any]) -> int:
    """Estimate the bytes that a row takes: its text in UTF-8 plus a fixed part."""
    text = "".join([value for value in values.values() if type(value) is str])
    return FIXED_ROW_BYTES + (len(text) if text.isascii() else len(text.encode("utf-8", "replace")))


def _write_kind(
    connection: Connection, now: datetime, kind: Kind, rows: list[RowWrite], change: TotalsChange, by_copy: bool
) -> None:
    merged = _merge_within_batch(kind, rows)
    known = _find_known(connection, kind, [row.values["event_id"] for row in merged if row.amends])
    first = allocate_positions(connection, kind, len(merged))
    placed = list(enumerate(merged, first))
    fresh = [(position, row) for position, row in placed if row.values["event_id"] not in known]
    if fresh:
        _insert_fresh(connection, now, kind, fresh, change, by_copy)
    if known:
        columns = _entry_columns(kind)
        amended = [
            _amend(kind, columns, known[row.values["event_id"]], row.values, position, change)
            for position, row in placed
            if row.values["event_id"] in known
        ]
        update_rows(connection, TABLES[kind], amended, {"updated_at": now})


def _insert_fresh(
    connection: Connection,
    now: datetime,
    kind: Kind,
    fresh: list[tuple[int, RowWrite]],
    change: TotalsChange,
    by_copy: bool,
) -> None:
    accepted = set(_entry_columns(kind))
    defaults = {name: value for name, value in _REQUIRED_DEFAULTS.items() if name in accepted}
    # Nearly all rows of a batch have the same names.
    given = set(defaults).union(*{tuple(row.values) for _, row in fresh})
    names = (*sorted(given & accepted), "position", "stored_bytes")
    # One instant for all, said once, unless rows bring their own.
    dated = any(row.recorded_at for _, row in fresh)
    once = {"updated_at": now, "version": 1} if dated else {"updated_at": now, "version": 1, "recorded_at": now}
    names = (*names, "recorded_at") if dated else names
    counted = _Counted(lambda: [0, 0])
    full = _complete_rows(kind, now, fresh, accepted if given - accepted else None, defaults, counted, dated=dated)
    by_copy = by_copy and len(fresh) >= _COPY_FROM_ROWS
    insert_rows(connection, TABLES[kind], names, full, once, by_copy=by_copy)
    for (recorded_at, event, outcome, country), (count, size) in counted.items():
        change.add(kind, recorded_at, event=event, outcome=outcome, country=country, stored_bytes=size, rows=count)


def _complete_rows(
    kind: Kind,
    now: datetime,
    fresh: Iterable[tuple[int, RowWrite]],
    accepted: set[str] | None,
    defaults: dict[str, Any],
    counted: _Counted,
    *,
    dated: bool,
) -> Iterator[dict[str, Any]]:
    """Make whole rows while they are sent, and count rows and bytes of each hour, event, outcome and country.

    :param accepted: the names to keep; None if there are no others.
    :param dated: say of each row when it was recorded.
    """
    this_hour = hour_of(now)
    for position, row in fresh:
        values = row.values
        if accepted is not None:
            values = {name: value for name, value in values.items() if name in accepted}
        stored = measure_row(values)
        full = {**defaults, **values, "position": position, "stored_bytes": stored}
        if dated:
            full["recorded_at"] = row.recorded_at or now
        hour = hour_of(row.recorded_at) if row.recorded_at else this_hour
        count = counted[(hour, *_total_key(kind, full))]
        count[0] += 1
        count[1] += stored
        yield full


@lru_cache(8)
def _entry_columns(kind: Kind) -> tuple[str, ...]:
    return tuple(column.name for column in TABLES[kind].columns if column.name not in _WRITER_COLUMNS)


def _total_key(kind: Kind, values: dict[str, Any]) -> tuple[str, str, str | None]:
    """Name what a row is counted under: event, outcome or status, and country."""
    if kind == "sign-in":
        return values["event"], values["outcome"], values.get("country")
    return "", values["status"], None


def _merge_within_batch(kind: Kind, rows: Iterable[RowWrite]) -> list[RowWrite]:
    """Join the phases of one event that meet in a batch, so that each event is written once."""
    merged: dict[str, RowWrite] = {}
    for row in rows:
        event_id = row.values["event_id"]
        before = merged.get(event_id)
        if before is not None:
            # The row may be older than this batch if either phase says so.
            amends = before.amends or row.amends
            row = RowWrite(kind, merge_values(kind, before.values, row.values), amends, before.recorded_at)
        merged[event_id] = row
    return list(merged.values())


def find_known_events(connection: Connection, kind: Kind, event_ids: Sequence[str]) -> set[str]:
    """Say which of the events have a row."""
    table = TABLES[kind]
    known: set[str] = set()
    for start in range(0, len(event_ids), _IDS_A_QUERY):
        chunk = event_ids[start : start + _IDS_A_QUERY]
        known.update(connection.scalars(select(table.c.event_id).where(table.c.event_id.in_(chunk))))
    return known


def _find_known(connection: Connection, kind: Kind, event_ids: list[str]) -> dict[str, Row[Any]]:
    table = TABLES[kind]
    known: dict[str, Row[Any]] = {}
    for start in range(0, len(event_ids), _IDS_A_QUERY):
        chunk = event_ids[start : start + _IDS_A_QUERY]
        rows = select(table).where(table.c.event_id.in_(chunk)).order_by(table.c.id)
        for row in connection.execute(rows):
            known[row.event_id] = row
    return known


def _amend(
    kind: Kind,
    columns: Sequence[str],
    row: Row[Any],
    values: dict[str, Any],
    position: int,
    change: TotalsChange,
) -> dict[str, Any]:
    old = {name: getattr(row, name) for name in columns}
    merged = {name: None for name in columns} | merge_values(kind, old, values)
    merged = {name: merged[name] for name in columns}
    stored = measure_row(merged)
    _count(change, kind, old, row.recorded_at, -row.stored_bytes, rows=-1)
    _count(change, kind, merged, row.recorded_at, stored)
    stamp = {"position": position, "stored_bytes": stored, "version": row.version + 1}
    return {**merged, **stamp, "row_id": row.id}


def _count(
    change: TotalsChange, kind: Kind, values: dict[str, Any], recorded_at: datetime, stored_bytes: int, rows: int = 1
) -> None:
    event, outcome, country = _total_key(kind, values)
    change.add(kind, recorded_at, event=event, outcome=outcome, country=country, stored_bytes=stored_bytes, rows=rows)
