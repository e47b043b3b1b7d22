"""What the pages could not use of the host's: told in the log once a minute, and in ``health`` while it lasts."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

logger = logging.getLogger("melody_logs")

TELL_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, in words, what helps, and since when."""

    name: str
    text: str
    remedy: str
    since: datetime


class Troubles:
    """The troubles of one app in this process, one a name. Safe in threads: each step is a single dict operation."""

    def __init__(self) -> None:
        self._lasting: dict[str, Trouble] = {}
        self._told_at: dict[str, float] = {}
        self._paused_until: dict[str, float] = {}

    def note(self, name: str, text: str, remedy: str, error: BaseException | None = None) -> None:
        """Keep that something is wrong, and tell it, with the traceback of *error*, unless it was told a moment ago."""
        known = self._lasting.get(name)
        since = known.since if known else datetime.now(UTC)
        self._lasting[name] = Trouble(name, text, remedy, since)
        now = time.monotonic()
        if now - self._told_at.get(name, -TELL_EVERY_SECONDS) >= TELL_EVERY_SECONDS:
            self._told_at[name] = now
            logger.error("%s; %s", text, remedy, exc_info=error)

    def settle(self, name: str) -> None:
        """Say that it works."""
        self._lasting.pop(name, None)

    def pause(self, name: str, seconds: float) -> None:
        """Let what has this name rest."""
        self._paused_until[name] = time.monotonic() + seconds

    def is_paused(self, name: str) -> bool:
        """Say whether it rests."""
        return time.monotonic() < self._paused_until.get(name, 0.0)

    def lasting(self) -> tuple[Trouble, ...]:
        """List what is wrong now."""
        return tuple(self._lasting.values())
