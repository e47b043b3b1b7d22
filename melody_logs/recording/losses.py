"""What could not be kept: counted by kind until the database has been told."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime

LOG_PAUSE_SECONDS = 60.0
_logger = logging.getLogger("melody_logs")


@dataclass(frozen=True, slots=True)
class Loss:
    """How many entries of a kind were lost, and between which instants (UTC, this host's clock)."""

    lost: int
    first_at: datetime
    last_at: datetime


class LossCounter:
    """Counts lost entries. The caller of :meth:`take` confirms what it wrote, so that nothing is told twice."""

    def __init__(self) -> None:
        # A signal handler may lose an entry while its thread is in here: it adds to what has come, and no more.
        self._lock = threading.RLock()
        self._is_counting = False
        self._come: deque[tuple[str, datetime]] = deque()
        self._fresh: dict[str, Loss] = {}
        self._taken: dict[str, Loss] = {}
        self._totals: Counter[str] = Counter()

    def count(self, kind: str) -> None:
        """Count one lost entry of *kind*."""
        self._come.append((kind, datetime.now(UTC)))
        with self._lock:
            if self._is_counting:
                return
            self._is_counting = True
            while self._come:
                self._add(*self._come.popleft())
            self._is_counting = False

    def totals(self) -> dict[str, int]:
        """Lost entries of this process by kind, told or not."""
        with self._lock:
            return dict(self._totals)

    def untold(self) -> dict[str, int]:
        """Lost entries by kind that the database has not been told of, or not yet for certain."""
        with self._lock:
            lost = Counter[str]()
            for losses in (self._taken, self._fresh):
                lost.update({kind: loss.lost for kind, loss in losses.items()})
            return dict(lost)

    def take(self) -> dict[str, Loss]:
        """Give what is to be told; the same again until :meth:`confirm`, so that a retry can be recognised."""
        with self._lock:
            if not self._taken and self._fresh and not self._is_counting:
                self._taken, self._fresh = self._fresh, {}
            return dict(self._taken)

    def confirm(self) -> None:
        """Forget what :meth:`take` gave: it has been written."""
        with self._lock:
            self._taken = {}

    def _add(self, kind: str, at: datetime) -> None:
        before = self._fresh.get(kind, Loss(0, at, at))
        self._fresh[kind] = Loss(before.lost + 1, before.first_at, at)
        self._totals[kind] += 1


class SparseLog:
    """Warnings to the logger ``melody_logs``, at most one a minute: a broken disk must not flood the host's log."""

    def __init__(self, pause_seconds: float = LOG_PAUSE_SECONDS) -> None:
        self._pause_seconds = pause_seconds
        self._next_at = 0.0
        self._unsaid = 0

    def warn(self, message: str, *, with_traceback: bool = False) -> None:
        """Log *message*, or count it if one was logged within the last minute.

        :param with_traceback: it is about an exception being handled: as an error, with its traceback.
        """
        now = time.monotonic()
        if now < self._next_at:
            self._unsaid += 1
            return
        self._next_at = now + self._pause_seconds
        more = f" ({self._unsaid} more warnings since the last one)" if self._unsaid else ""
        self._unsaid = 0
        level = logging.ERROR if with_traceback else logging.WARNING
        try:
            _logger.log(level, "%s%s", message, more, exc_info=with_traceback)
        except Exception:
            # A filter of the host raises, or the stream of its handler: where we warn, the host goes on.
            self._unsaid += 1
