"""Entries that the database will never take: found by halving, so that they hold up no others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)

from ..errors import MelodyLogsError
from ..storage.deliveries import DeliveryReport
from ..storage.writer import RowWrite, write_rows
from .entries import from_json, to_row
from .reports import is_report, read_report
from .spool_batch import Spooled


class ReadEntry(NamedTuple):
    """An entry of a spool, ready to be written."""

    number: int
    row: RowWrite | DeliveryReport

    @property
    def event_id(self) -> str:
        """The event of the row; empty for a report."""
        return self.row.values["event_id"] if isinstance(self.row, RowWrite) else ""


class Rejection(NamedTuple):
    """An entry that cannot be written, and why."""

    number: int
    error: Exception

    def describe(self) -> str:
        """Name the error by its first line: further lines, and the statement, would repeat personal data."""
        reason = self.error.orig if isinstance(self.error, DBAPIError) and self.error.orig else self.error
        return f"{type(reason).__name__}: {str(reason).partition(chr(10))[0]}"


def read_entries(batch: Sequence[Spooled]) -> tuple[list[ReadEntry], list[Rejection]]:
    """Turn spooled bytes into rows; what cannot be read is rejected."""
    read: list[ReadEntry] = []
    rejected: list[Rejection] = []
    for spooled in batch:
        try:
            row = read_report(spooled.body) if is_report(spooled.body) else to_row(from_json(spooled.body))
            read.append(ReadEntry(spooled.number, row))
        except Exception as error:  # whatever it is, the others must pass
            # Its message may quote the entry.
            rejected.append(Rejection(spooled.number, ValueError(f"it cannot be read ({type(error).__name__})")))
    return read, rejected


def is_database_trouble(error: BaseException) -> bool:
    """Say whether *error* is about the database (gone, locked, no tables), not about the entries."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, OperationalError | InternalError | TimeoutError | MelodyLogsError | OSError):
        return True
    return not isinstance(error, Exception)


def write_what_passes(connection: Connection, now: datetime, entries: Sequence[ReadEntry]) -> list[Rejection]:
    """Write the entries, but for those that the database rejects, which are returned.

    An error counts as an entry's own only if the entry's values are named as its cause, or if other entries pass.

    :raise Exception: the first error, if none passes for another reason: then it is not the entries that are wrong.
    """
    rejected = _write_halving(connection, now, entries)
    if rejected and len(rejected) == len(entries):
        for rejection in rejected:
            if not isinstance(rejection.error, DataError | IntegrityError):
                raise rejection.error
    return rejected


def _write_halving(connection: Connection, now: datetime, entries: Sequence[ReadEntry]) -> list[Rejection]:
    try:
        with connection.begin_nested():
            # Not by COPY: what the database refuses altogether, as with row-level security, a statement may still do.
            write_rows(connection, now, [entry.row for entry in entries], by_copy=False)
        return []
    except Exception as error:
        if is_database_trouble(error) or (isinstance(error, SQLAlchemyError) and connection.invalidated):
            raise
        if len(entries) == 1:
            return [Rejection(entries[0].number, error)]
    middle = len(entries) // 2
    return _write_halving(connection, now, entries[:middle]) + _write_halving(connection, now, entries[middle:])
