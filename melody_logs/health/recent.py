"""The last look at the health in this process: a banner on every page costs no look of its own."""

from __future__ import annotations

import time

from ..state import State
from .findings import Health

RECENT_SECONDS = 10.0


def remember_health(state: State, health: Health) -> None:
    """Keep what was found for the next ten seconds."""
    state.seen_health = (time.monotonic(), health)


def remembered_health(state: State) -> Health | None:
    """Give what was found last, however long ago; None if nobody has looked in this process."""
    return state.seen_health[1] if state.seen_health else None


def claim_look(state: State) -> bool:
    """Say whether it is time to look again; who asks next is told no for ten seconds."""
    now = time.monotonic()
    if state.seen_health is not None and now - state.seen_health[0] < RECENT_SECONDS:
        return False
    state.seen_health = (now, remembered_health(state))
    return True
