"""What waits to be drained, in figures."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Waiting(NamedTuple):
    """What waits in one or more spools: *bytes* on disk, *oldest_at* in UTC by this host's clock."""

    entries: int = 0
    bytes: int = 0
    oldest_at: datetime | None = None
    dead_letters: int = 0
    #: Why the process that appends drains nothing itself, although it should.
    unattended: str | None = None


def sum_waiting(*counts: Waiting) -> Waiting:
    """Add up what waits in several spools."""
    return Waiting(
        sum(count.entries for count in counts),
        sum(count.bytes for count in counts),
        min((count.oldest_at for count in counts if count.oldest_at), default=None),
        sum(count.dead_letters for count in counts),
        next((count.unattended for count in counts if count.unattended), None),
    )
