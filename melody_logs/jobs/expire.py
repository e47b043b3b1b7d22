"""Messages whose sending never said how it ended become ``unknown``; reports without a message are given up."""

from __future__ import annotations

from datetime import timedelta

from ..storage import pending
from ..storage.database import Database
from ..storage.deliveries import forget_early_deliveries as forget_early_deliveries

BATCH_ROWS = 500


def expire_pending(database: Database, *, older_than: timedelta) -> int:
    """Turn every message that has been ``pending`` for longer than *older_than* into ``unknown``; return how many."""
    expired = 0
    while True:
        batch = pending.expire_pending(database, older_than=older_than, limit=BATCH_ROWS)
        expired += batch
        if batch < BATCH_ROWS:
            return expired
