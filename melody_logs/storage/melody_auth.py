"""A Melody Auth database to import from: its three log tables, by id, on a connection that only reads.

Names and forms are those of Melody Auth's migrations, as of 2026: ``email_log``, ``sms_log`` and ``sign_in_log`` with
``createdAt`` as text ``YYYY-MM-DD HH:MM:SS``, which SQLite writes in UTC and PostgreSQL in the session's time zone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, LargeBinary, Row, Select, Text, cast, column, func, inspect, select, table
from sqlalchemy.exc import DBAPIError

from ..errors import ImportSourceError
from ..vocabulary import Kind
from .destination import show_url
from .melody_auth_address import make_source_engine

TABLE_NAMES: dict[Kind, str] = {"email": "email_log", "sms": "sms_log", "sign-in": "sign_in_log"}
_MESSAGE_COLUMNS = ("success", "receiver", "response", "content")
_REQUIRED: dict[Kind, tuple[str, ...]] = {
    "email": ("id", *_MESSAGE_COLUMNS, "createdAt"),
    "sms": ("id", *_MESSAGE_COLUMNS, "createdAt"),
    "sign-in": ("id", "ip", "detail", "createdAt"),
}
#: Not in every version of Melody Auth; NULL where they are missing.
_OPTIONAL = ("userId", "deletedAt")
_UTC_NAMES = ("UTC", "Etc/UTC", "GMT")
#: Most characters read of a text whose reader names no other limit.
_TEXT_LIMIT = 8_192
_BYTES_A_CHARACTER = 4

BATCH_ROWS = 1_000
#: A batch ends early when its rows are larger than this together; bodies come in small portions, not all at once.
BATCH_BYTES = 8 * 1024 * 1024
_ROWS_A_PORTION = 50
_IDS_A_QUERY = 500
_WRITERS_SECONDS = 10.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row as it stands there; ``values`` by column name, texts cut to what is asked for."""

    id: int
    is_deleted: bool
    created_at: str | None
    values: Mapping[str, Any]


class SourceCount(NamedTuple):
    """Rows of a table, how many of them are marked as deleted there, and their highest id; None if there are none."""

    rows: int
    deleted: int
    last_id: int | None


class MelodyAuthDatabase:
    """The log tables of a Melody Auth database.

    :param address: ``postgresql://user@host/name``, ``postgres://…`` or ``sqlite:///path/of/file.db``.
    :param text_limits: most characters read of a column.
    :raise ImportSourceError: here and from each method, if the database cannot be read; the password is never shown.
    """

    def __init__(self, address: str, *, text_limits: Mapping[str, int]) -> None:
        self._engine: Engine = make_source_engine(address)
        self._text_limits = text_limits
        self._columns: dict[Kind, set[str]] = {}
        self.shown_address = show_url(self._engine.url)
        self._is_sqlite = self._engine.dialect.name == "sqlite"
        self.time_zone: tzinfo = UTC

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def check(self, kinds: Sequence[Kind]) -> None:
        """Connect, look whether the tables of *kinds* are there, and learn the time zone of their times."""
        with self._read() as connection:
            inspector = inspect(connection)
            names = set(inspector.get_table_names())
            missing = [TABLE_NAMES[kind] for kind in kinds if TABLE_NAMES[kind] not in names]
            if missing:
                raise ImportSourceError(_explain_missing(self.shown_address, missing, names))
            for kind in kinds:
                columns = {found["name"] for found in inspector.get_columns(TABLE_NAMES[kind])}
                lacking = [name for name in _REQUIRED[kind] if name not in columns]
                if lacking:
                    raise ImportSourceError(
                        f'the table "{TABLE_NAMES[kind]}" in "{self.shown_address}" has no column "{lacking[0]}", '
                        "so it is not one of Melody Auth"
                    )
                self._columns[kind] = columns
            if connection.dialect.name == "postgresql":
                self.time_zone = _read_time_zone(connection)

    def count(self, kind: Kind, *, after_id: int | None = None) -> SourceCount:
        """Count the rows above *after_id*, or all."""
        row_id: Any = column("id")
        deleted = func.count(self._column(kind, "deletedAt"))
        statement = select(func.count(), deleted, func.max(row_id)).select_from(self._table(kind))
        if after_id is not None:
            statement = statement.where(row_id > after_id)
        with self._read() as connection:
            found = SourceCount(*connection.execute(statement).one())
        if found.last_id is not None:
            self._check_id(kind, found.last_id)
        return found

    def wait_for_writers(self) -> bool:
        """Wait, for at most ten seconds, until the transactions that write at this moment have ended; say if they have.

        On PostgreSQL a row may become visible after one with a higher id: who reads up to an id and goes on from there
        would miss it. SQLite has one writer at a time.
        """
        if self._is_sqlite:
            return True
        first_later = self._read_transaction_id("xmax")
        end = time.monotonic() + _WRITERS_SECONDS
        while self._read_transaction_id("xmin") < first_later:
            if time.monotonic() > end:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _read_transaction_id(self, name: str) -> int:
        """Read ``xmin``, the oldest transaction under way, or ``xmax``, the first that has not begun."""
        with self._read() as connection:
            snapshot = f"SELECT pg_snapshot_{name}(pg_current_snapshot())::text::bigint"
            return int(connection.exec_driver_sql(snapshot).scalar_one())

    def read_batch(self, kind: Kind, *, after_id: int | None, last_id: int) -> list[SourceRow]:
        """Read the next rows with ``after_id < id <= last_id`` by id: at most ``BATCH_ROWS``, about ``BATCH_BYTES``."""
        row_id: Any = column("id")
        statement = self._rows(kind).where(row_id <= last_id).order_by(row_id).limit(BATCH_ROWS)
        if after_id is not None:
            statement = statement.where(row_id > after_id)
        rows: list[SourceRow] = []
        size = 0
        with self._read() as connection:
            found = connection.execute(statement, execution_options={"yield_per": _ROWS_A_PORTION})
            for row in found:
                rows.append(self._source_row(kind, row))
                size += sum(len(value) for value in row if isinstance(value, str | bytes))
                if size >= BATCH_BYTES:
                    break
            found.close()
        return rows

    def find_rows(self, kind: Kind, ids: Sequence[int]) -> list[SourceRow]:
        """Read the rows with these ids, as far as they are there."""
        rows: list[SourceRow] = []
        for start in range(0, len(ids), _IDS_A_QUERY):
            statement = self._rows(kind).where(column("id").in_(ids[start : start + _IDS_A_QUERY]))
            with self._read() as connection:
                rows += [self._source_row(kind, row) for row in connection.execute(statement)]
        return rows

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            reason = str(error.orig).strip().partition("\n")[0]
            raise ImportSourceError(f'"{self.shown_address}" cannot be read: {reason}') from error

    def _table(self, kind: Kind) -> Any:
        return table(TABLE_NAMES[kind])

    def _column(self, kind: Kind, name: str) -> Any:
        # A bare name that is no column would be text to SQLite.
        return column(name) if name in self._columns[kind] else func.nullif(0, 0)

    def _rows(self, kind: Kind) -> Select[Any]:
        """Select what a :class:`SourceRow` is made of.

        SQLite keeps any value in any column: as bytes, all are read, whatever their encoding.
        """
        texts = ("ip", "detail") if kind == "sign-in" else ("receiver", "response", "content")
        columns = [column("id"), self._column(kind, "deletedAt").is_not(None).label("is_deleted")]
        columns += [self._text(name).label(name) for name in ("createdAt", *texts)]
        if kind == "sign-in":
            columns.append(self._column(kind, "userId").label("userId"))
        else:
            # The length of text is one in characters to SQLite, of bytes one in bytes.
            count_bytes = func.length if self._is_sqlite else func.octet_length
            columns += [column("success"), count_bytes(self._whole("content")).label("content_bytes")]
        return select(*columns).select_from(self._table(kind))

    def _whole(self, name: str) -> Any:
        return cast(column(name), LargeBinary() if self._is_sqlite else Text())

    def _text(self, name: str) -> Any:
        limit = self._text_limits.get(name, _TEXT_LIMIT)
        if self._is_sqlite:
            limit *= _BYTES_A_CHARACTER
        return func.substr(self._whole(name), 1, limit)

    def _source_row(self, kind: Kind, row: Row[Any]) -> SourceRow:
        values = {name: _decode(value) for name, value in row._mapping.items()}
        row_id = values.pop("id")
        self._check_id(kind, row_id)
        return SourceRow(row_id, bool(values.pop("is_deleted")), values.pop("createdAt"), values)

    def _check_id(self, kind: Kind, row_id: Any) -> None:
        if type(row_id) is not int:
            raise ImportSourceError(
                f'the table "{TABLE_NAMES[kind]}" in "{self.shown_address}" has an "id" that is no whole number'
            )


def _decode(value: Any) -> Any:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else value


def _explain_missing(shown_address: str, missing: Sequence[str], names: set[str]) -> str:
    if any(name.startswith("melody_") and name.endswith("_log") for name in names):
        return f'"{shown_address}" is a log database of melody_logs itself: name the database of Melody Auth'
    if not names & set(TABLE_NAMES.values()):
        return f'"{shown_address}" has no tables of Melody Auth (looked for {", ".join(TABLE_NAMES.values())})'
    return f'"{shown_address}" has no table "{missing[0]}": choose the logs that are there with --kind'


def _read_time_zone(connection: Connection) -> tzinfo:
    """Read the time zone in which this role, as Melody Auth does, writes times.

    :raise ImportSourceError: if this machine does not know it.
    """
    name = str(connection.exec_driver_sql("SHOW TimeZone").scalar_one())
    try:
        # The most common ones need no data, which a small image may not have.
        return UTC if name in _UTC_NAMES else ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ImportSourceError(
            f'the source writes times in the time zone "{name}", which is not known here: install the package tzdata'
        ) from None
