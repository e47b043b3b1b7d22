"""Messages whose sending never said how it ended."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from ..vocabulary import MESSAGE_KINDS
from .database import Database
from .models import TABLES
from .writer import RowWrite, write_rows


def expire_pending(database: Database, *, older_than: timedelta, limit: int = 500) -> int:
    """Turn up to *limit* messages a kind that have been ``pending`` for longer into ``unknown``; return how many."""
    expired = 0
    for kind in MESSAGE_KINDS:
        table = TABLES[kind]
        with database.write() as connection:
            now = database.now(connection)
            rows = connection.execute(
                select(table.c.event_id, table.c.occurred_at)
                .where(table.c.status == "pending", table.c.recorded_at < now - older_than)
                .order_by(table.c.recorded_at)
                .limit(limit)
            ).all()
            values = [{"event_id": row.event_id, "occurred_at": row.occurred_at, "status": "unknown"} for row in rows]
            write_rows(connection, now, [RowWrite(kind, each, amends=True) for each in values])
            expired += len(rows)
    return expired
