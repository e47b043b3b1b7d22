"""What the newest rows tell about the app that wrote them: a bounded look, for the coverage report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from ..vocabulary import KINDS, MESSAGE_KINDS, Kind
from .database import Database
from .models import TABLES

#: So many rows of a log are looked at.
ROWS_READ = 1000
RECENT = timedelta(days=30)
_SIGN_IN_COLUMNS = ("ip", "user_id", "identity_hash", "marks", "endpoint", "outcome", "recorded_at")
_MESSAGE_COLUMNS = ("endpoint", "provider", "recorded_at")


@dataclass(slots=True)
class RecentRows:
    """The newest rows of the last thirty days: sign-ins, endpoints that leave a trace, the newest moment of a log."""

    now: datetime
    sign_ins: list[Row[Any]] = field(default_factory=list)
    #: By endpoint, how many sign-ins of each outcome.
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    message_endpoints: set[str] = field(default_factory=set)
    #: Who took the messages of a log.
    providers: dict[Kind, set[str]] = field(default_factory=dict)
    #: Of all time; None for a log without rows.
    newest: dict[Kind, datetime | None] = field(default_factory=dict)
    oldest: dict[Kind, datetime | None] = field(default_factory=dict)

    def is_quiet(self, kind: Kind) -> bool:
        """Say whether the log has had no row for thirty days."""
        newest = self.newest.get(kind)
        return newest is None or self.now - newest > RECENT


def read_recent_rows(database: Database) -> RecentRows:
    """Read up to a thousand newest rows of each log, without bodies; by the ids, so that no age makes it slow."""
    with database.read() as connection:
        recent = RecentRows(database.now(connection))
        for kind in KINDS:
            rows = _newest(connection, kind)
            recent.newest[kind] = rows[0].recorded_at if rows else None
            recent.oldest[kind] = _find_oldest(connection, kind) if rows else None
            rows = [row for row in rows if recent.now - row.recorded_at <= RECENT]
            if kind in MESSAGE_KINDS:
                recent.message_endpoints |= {row.endpoint for row in rows if row.endpoint}
                recent.providers[kind] = {row.provider for row in rows if row.provider}
                continue
            recent.sign_ins = rows
            for row in rows:
                if row.endpoint:
                    recent.outcomes.setdefault(row.endpoint, Counter())[row.outcome] += 1
    return recent


def _newest(connection: Connection, kind: Kind) -> list[Row[Any]]:
    table: Any = TABLES[kind]
    names = _MESSAGE_COLUMNS if kind in MESSAGE_KINDS else _SIGN_IN_COLUMNS
    rows = select(*[table.c[name] for name in names]).order_by(table.c.id.desc()).limit(ROWS_READ)
    return list(connection.execute(rows))


def _find_oldest(connection: Connection, kind: Kind) -> datetime | None:
    table: Any = TABLES[kind]
    moment: datetime | None = connection.scalar(select(table.c.recorded_at).order_by(table.c.id).limit(1))
    return moment
