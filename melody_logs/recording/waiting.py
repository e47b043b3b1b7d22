"""What waits to be drained, in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

_NONE: Mapping[str, int] = MappingProxyType({})


class Waiting(NamedTuple):
    """What waits in one or more spools: *bytes* on disk, *oldest_at* in UTC by this host's clock."""

    entries: int = 0
    bytes: int = 0
    oldest_at: datetime | None = None
    #: How many entries of each kind are kept aside.
    dead_kinds: Mapping[str, int] = _NONE
    #: Why the process that appends drains nothing itself, although it should.
    unattended: str | None = None
    #: The bytes of the fullest of several spools.
    fullest_bytes: int = 0

    @property
    def dead_letters(self) -> int:
        """How many entries are kept aside."""
        return sum(self.dead_kinds.values())


def sum_waiting(*counts: Waiting) -> Waiting:
    """Add up what waits in several spools."""
    dead = Counter[str]()
    for count in counts:
        dead.update(count.dead_kinds)
    return Waiting(
        sum(count.entries for count in counts),
        sum(count.bytes for count in counts),
        min((count.oldest_at for count in counts if count.oldest_at), default=None),
        dict(dead),
        next((count.unattended for count in counts if count.unattended), None),
        max((max(count.bytes, count.fullest_bytes) for count in counts), default=0),
    )
