"""Counts of this process by kind: for what the database is never told."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime

from .forking import follow_forks


class Tally:
    """Counts entries by kind; a forked child begins at nothing."""

    def __init__(self) -> None:
        self._begin()
        follow_forks(self)

    def _begin(self) -> None:
        # A signal handler may record, and count, while its thread is in here.
        self._lock = threading.RLock()
        self._totals: Counter[str] = Counter()
        self._last_at: datetime | None = None

    def count(self, kind: str) -> None:
        """Count one entry of *kind*."""
        with self._lock:
            self._totals[kind] += 1
            self._last_at = datetime.now(UTC)

    def totals(self) -> dict[str, int]:
        """Give the counts of this process by kind."""
        with self._lock:
            return dict(self._totals)

    def last_at(self) -> datetime | None:
        """Say when the last one was counted (UTC, this host's clock); None if there was none."""
        with self._lock:
            return self._last_at

    def before_fork(self) -> None:
        """Nothing: the child counts anew."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Forget what the parent counted, and a lock that one of its threads may have held."""
        self._begin()
