"""Reports of providers on their way into the rows of their messages; one that comes before its row waits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, insert, select

from ..vocabulary import MESSAGE_KINDS, Kind
from .database import Database
from .delivery_history import Reported, add_to_history, settle_status
from .models import TABLES, EarlyDelivery
from .positions import allocate_positions
from .rows import update_rows
from .totals import TotalsChange

#: So long a report waits for its message.
EARLY_KEPT = timedelta(days=3)
#: So many reports wait at most: the oldest give way.
MOST_EARLY = 100_000
_IDS_A_QUERY = 250
_MOST_ROWS_A_QUERY = 2_000
_SWEEP_ROWS = 1_000
#: What a host may call the provider of a message whose reports come from another place: a protocol is none.
_UNNAMED = (None, "", "smtp")
#: The column holds no more of them.
_LONGEST_RECEIVERS = 320
_BETWEEN_ADDRESSES = re.compile(r"[\s,;<>\"]+")

_EARLY: Any = EarlyDelivery.__table__


class DeliveryReport(NamedTuple):
    """What a provider says became of a message.

    *provider* in lower case; *provider_message_id* without angle brackets; *status* one of the vocabulary's or
    ``deferred``; *receiver* the one address that it is about, where several messages may share the id.
    """

    kind: Kind
    provider: str
    provider_message_id: str
    status: str
    occurred_at: datetime
    detail: str | None = None
    receiver: str | None = None


def join_reports(
    connection: Connection,
    now: datetime,
    written_ids: dict[Kind, set[str]],
    reports: Sequence[DeliveryReport],
    change: TotalsChange,
) -> None:
    """Join reports to their messages: those that come now, and those that waited for messages just written.

    Call it under the write lock, when the rows of the transaction are written. Positions and versions rise only where
    a row changes.

    :param written_ids: the provider's ids of the messages that this transaction has written.
    """
    for kind in MESSAGE_KINDS:
        new = [report for report in reports if report.kind == kind]
        waiting = _find_waiting(connection, kind, written_ids.get(kind, set()))
        if not new and not waiting:
            continue
        reported = [*new, *(report for _, report in waiting)]
        messages = _find_messages(connection, kind, {report.provider_message_id for report in reported})
        _change_messages(connection, now, kind, reported, messages, change)
        _delete_waiting(connection, [number for number, report in waiting if _messages_of(report, messages)])
        _let_wait(connection, now, [report for report in new if not _messages_of(report, messages)])


def forget_early_deliveries(database: Database, *, older_than: timedelta = EARLY_KEPT) -> int:
    """Delete the reports that have waited longer than *older_than* for a message; return how many."""
    forgotten = 0
    while True:
        with database.write() as connection:
            old = _EARLY.c.recorded_at < database.now(connection) - older_than
            oldest = select(_EARLY.c.id).where(old).order_by(_EARLY.c.recorded_at).limit(_SWEEP_ROWS)
            numbers = list(connection.scalars(oldest))
            _delete_waiting(connection, numbers)
        forgotten += len(numbers)
        if len(numbers) < _SWEEP_ROWS:
            return forgotten


_Messages = dict[str, list[Row[Any]]]


def _messages_of(report: DeliveryReport, messages: _Messages) -> list[Row[Any]]:
    """Give the rows that a report is about; a row that names another provider or receiver is none of them."""
    rows = messages.get(report.provider_message_id, [])
    return [
        row
        for row in rows
        if (row.provider in _UNNAMED or row.provider.lower() == report.provider) and _is_to(row, report.receiver)
    ]


def _is_to(row: Row[Any], receiver: str | None) -> bool:
    """Say whether a message went to an address; one whose addresses are not known in full may have."""
    known = row.receiver or ""
    if receiver is None or "@" not in known or len(known) >= _LONGEST_RECEIVERS:
        return True
    return receiver.casefold() in _BETWEEN_ADDRESSES.split(known.casefold())


def _find_messages(connection: Connection, kind: Kind, ids: set[str]) -> _Messages:
    table = TABLES[kind]
    names = (
        "id",
        "recorded_at",
        "version",
        "stored_bytes",
        "status",
        "provider",
        "provider_message_id",
        "delivery",
        "receiver",
    )
    messages: _Messages = defaultdict(list)
    for chunk in _chunks(ids):
        # A host may have kept the id of a Message-ID header with its brackets.
        either = [form for bare in chunk for form in (bare, f"<{bare}>")]
        found = select(*(table.c[name] for name in names)).where(table.c.provider_message_id.in_(either))
        for row in connection.execute(found.order_by(table.c.id).limit(_MOST_ROWS_A_QUERY)):
            messages[bare_id(row.provider_message_id)].append(row)
    return messages


def _change_messages(
    connection: Connection,
    now: datetime,
    kind: Kind,
    reports: Iterable[DeliveryReport],
    messages: _Messages,
    change: TotalsChange,
) -> None:
    by_row: dict[int, tuple[Row[Any], list[Reported]]] = {}
    for report in reports:
        for row in _messages_of(report, messages):
            line = Reported(report.status, report.occurred_at, report.detail)
            by_row.setdefault(row.id, (row, []))[1].append(line)
    changed = []
    for row, lines in by_row.values():
        history = add_to_history(row.delivery, lines)
        if history != row.delivery:
            changed.append((row, settle_status(row.status, history), history))
    if not changed:
        return
    first = allocate_positions(connection, kind, len(changed))
    updates = []
    for position, (row, status, history) in enumerate(changed, first):
        grown = _size(history) + _size(status) - _size(row.delivery) - _size(row.status)
        stored = row.stored_bytes + grown
        _count(change, kind, row, row.status, -row.stored_bytes, rows=-1)
        _count(change, kind, row, status, stored, rows=1)
        stamp = {"position": position, "version": row.version + 1, "stored_bytes": stored}
        updates.append({"status": status, "delivery": history, **stamp, "row_id": row.id})
    update_rows(connection, TABLES[kind], updates, {"updated_at": now})


def _count(change: TotalsChange, kind: Kind, row: Row[Any], status: str, stored_bytes: int, *, rows: int) -> None:
    where: dict[str, Any] = {"event": "", "outcome": status, "country": None}
    change.add(kind, row.recorded_at, **where, stored_bytes=stored_bytes, rows=rows)


def _find_waiting(connection: Connection, kind: Kind, ids: set[str]) -> list[tuple[int, DeliveryReport]]:
    """Find the reports that wait for messages with these ids, each after the number to delete it by."""
    # Most of the time none waits at all, and then this is all that a batch pays for.
    if not ids or connection.scalar(select(_EARLY.c.id).limit(1)) is None:
        return []
    waiting = []
    for chunk in _chunks({bare_id(given) for given in ids}):
        found = select(_EARLY).where(_EARLY.c.provider_message_id.in_(chunk), _EARLY.c.kind == kind)
        for row in connection.execute(found.order_by(_EARLY.c.id).limit(_MOST_ROWS_A_QUERY)):
            report = DeliveryReport(**{name: getattr(row, name) for name in DeliveryReport._fields})
            waiting.append((row.id, report))
    return waiting


def _let_wait(connection: Connection, now: datetime, reports: Sequence[DeliveryReport]) -> None:
    if not reports:
        return
    unique = dict.fromkeys(reports)
    connection.execute(insert(_EARLY), [{**report._asdict(), "recorded_at": now} for report in unique])
    newest = connection.scalar(select(func.max(_EARLY.c.id)))
    connection.execute(delete(_EARLY).where(_EARLY.c.id <= (newest or 0) - MOST_EARLY))


def _delete_waiting(connection: Connection, numbers: Sequence[int]) -> None:
    for start in range(0, len(numbers), _IDS_A_QUERY):
        connection.execute(delete(_EARLY).where(_EARLY.c.id.in_(numbers[start : start + _IDS_A_QUERY])))


def bare_id(provider_message_id: str) -> str:
    """Take the angle brackets of a Message-ID header off a provider's id."""
    is_bracketed = provider_message_id.startswith("<") and provider_message_id.endswith(">")
    return provider_message_id[1:-1] if is_bracketed else provider_message_id


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), _IDS_A_QUERY):
        yield ordered[start : start + _IDS_A_QUERY]


def _size(text: str | None) -> int:
    return len((text or "").encode("utf-8", "replace"))
