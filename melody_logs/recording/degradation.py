"""Is recording worse off than it was: what the host is told of once, when it begins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from .drain import DrainState
from .spool import Spool

#: A database that is away for less is no news: entries wait for it, and a restart takes as long.
DRAIN_FAILS_AFTER = timedelta(minutes=1)


class Degradation:
    """Compares how recording stands with what was told; asked with each entry, so each look is a few comparisons."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._told: frozenset[str] = frozenset()
        self._dead_letters_told = 0

    def find_news(self, drain: DrainState, loss: str | None) -> str | None:
        """Say in a sentence what has become worse since the last call; None if nothing has.

        :param loss: how an entry has just been lost, which is news each time.
        """
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
        return f"{more} entries cannot be written and are kept aside" if more > 0 else None


def _explain_drain(drain: DrainState) -> str | None:
    since = drain.failing_since
    if since is None or datetime.now(UTC) - since < DRAIN_FAILS_AFTER:
        return None
    return f"entries have not come into the database for over a minute: {drain.error}"
