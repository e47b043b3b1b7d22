"""A log database with its tables, entries that are easy to tell apart, and what became of them."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import make_url, select

from melody_logs.recording.entries import Entry, to_json
from melody_logs.storage.database import Database
from melody_logs.storage.destination import Destination
from melody_logs.storage.engine import create_tables
from melody_logs.storage.models import Gap, SmsLog


def make_database(url: str, *, tables: bool = True) -> Database:
    """The log database at *url*, by default with its tables."""
    database = Database(lambda: Destination(make_url(url), None))
    if tables:
        create_tables(database.engine)
    return database


def make_body(mark: str, **values: Any) -> bytes:
    """The bytes of a text message that carries *mark*."""
    facts = {"occurred_at": datetime.now(UTC), "status": "sent", "purpose": mark, **values}
    return to_json(Entry(kind="sms", event_id=str(uuid.uuid4()), values=facts, amends=False))


def count_marks(database: Database) -> Counter[str | None]:
    """How many rows carry each mark."""
    with database.read() as connection:
        return Counter(connection.scalars(select(SmsLog.purpose)))


def count_gaps(database: Database) -> Counter[str]:
    """How many entries were reported lost, by kind."""
    total: Counter[str] = Counter()
    with database.read() as connection:
        for kind, lost in connection.execute(select(Gap.kind, Gap.lost)):
            total[kind] += lost
    return total
