"""Logs that are on and stay empty while others do not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ..state import State
from ..storage.recent_rows import RecentRows
from ..vocabulary import KINDS, TITLES, Kind
from .remarks import Remark

SETTLED = timedelta(days=7)


def examine_logs(state: State, recent: RecentRows | None) -> Iterator[Remark]:
    """Find enabled logs without an entry in thirty days, if another one has some."""
    enabled = [kind for kind in KINDS if state.settings.is_enabled(kind)]
    if recent is None or not any(_is_settled(recent, kind) for kind in enabled):
        return
    for kind in enabled:
        if recent.is_quiet(kind):
            newest = recent.newest.get(kind)
            evidence = f"the newest one is of {newest:%Y-%m-%d}" if newest else "there has never been one"
            remedy = f"connect what sends or signs in, or set MELODY_LOGS_ENABLE_{_key(kind)}_LOG to False"
            yield Remark(
                "Quiet logs", f"{TITLES[kind]}: no entry in 30 days, while other logs have some", evidence, remedy
            )


def _is_settled(recent: RecentRows, kind: Kind) -> bool:
    """Say whether a log is at work and has been for a week: in a new app the others may still come."""
    oldest = recent.oldest.get(kind)
    return oldest is not None and recent.now - oldest >= SETTLED and not recent.is_quiet(kind)


def _key(kind: str) -> str:
    return kind.replace("-", "_").upper()
