"""The host's clock, held against the database's: a time that cannot be right is marked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ..storage.deliveries import DeliveryReport
from ..vocabulary import SUSPECT_TIME
from .cleaning import MARKS_LIMIT
from .poison import ReadEntry

SUSPECT_AFTER = timedelta(minutes=5)


def mark_suspect_times(entries: Sequence[ReadEntry], now: datetime) -> None:
    """Mark the entries whose ``occurred_at`` is not to be trusted.

    That is all of them while this host's clock is off, else those that come from the future. A time long past is none:
    entries wait in the spool as long as they must.

    The clock is judged as it is now. Whether it was right when an entry was made is not known: all that an entry has of
    that moment is by the same clock.

    :param now: the database's clock.
    """
    is_off = abs(datetime.now(UTC) - now) > SUSPECT_AFTER
    latest = now + SUSPECT_AFTER
    for entry in entries:
        if isinstance(entry.row, DeliveryReport):
            # Its time is by the provider's clock.
            continue
        values = entry.row.values
        if is_off or values["occurred_at"] > latest:
            marks = values.get("marks") or ""
            if type(marks) is str and SUSPECT_TIME not in marks and len(marks) + len(SUSPECT_TIME) < MARKS_LIMIT:
                values["marks"] = f"{marks} {SUSPECT_TIME}".strip()
