"""Is recording worse off than it was: what the host is told of once, when it begins."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from .drain import DrainState
from .forking import follow_forks
from .spool import Spool

#: A database that is away for less is no news: entries wait for it, and a restart takes as long.
DRAIN_FAILS_AFTER = timedelta(minutes=1)


class Degradation:
    """Compares how recording stands with what was told; asked with each entry, so each look is a few comparisons."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._begin()
        follow_forks(self)

    def _begin(self) -> None:
        # A signal handler may record while its thread is in here.
        self._lock = threading.RLock()
        self._told: frozenset[str] = frozenset()
        self._dead_letters_told = 0

    def find_news(self, drain: DrainState, loss: str | None) -> str | None:
        """Say in a sentence what has become worse since the last call; None if nothing has.

        :param loss: how an entry has just been lost, which is news each time.
        """
        with self._lock:
            return self._compare(drain, loss)

    def before_fork(self) -> None:
        """Nothing: the child has told nothing."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Forget what the parent told, and a lock that one of its threads may have held."""
        self._begin()

    def _compare(self, drain: DrainState, loss: str | None) -> str | None:
        problem = self._spool.problem()
        if problem is None and drain.failing_since is None and loss is None:
            self._told = frozenset()
            if drain.dead_letters == self._dead_letters_told:
                return None
        dead_letters = self._explain_dead_letters(drain)
        now = {"spool": problem, "drain": _explain_drain(drain), "dead letters": dead_letters, "loss": loss}
        self._dead_letters_told = drain.dead_letters
        going_on = frozenset(name for name in ("spool", "drain") if now[name])
        news = [text for name, text in now.items() if text and name not in self._told]
        self._told = going_on
        return "; ".join(news) or None

    def _explain_dead_letters(self, drain: DrainState) -> str | None:
        more = drain.dead_letters - self._dead_letters_told
        if more <= 0:
            return None
        are = "entry cannot be written and is" if more == 1 else "entries cannot be written and are"
        return f"{more} {are} kept aside"


def _explain_drain(drain: DrainState) -> str | None:
    since = drain.failing_since
    if since is None or datetime.now(UTC) - since < DRAIN_FAILS_AFTER:
        return None
    return f"entries have not come into the database for over a minute: {drain.error}"
