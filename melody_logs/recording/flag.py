"""A flag that threads wait for, and that a signal handler may set."""

from __future__ import annotations

import threading


class Flag:
    """What ``threading.Event`` is, but a signal handler may set it while its own thread is at work in it."""

    def __init__(self) -> None:
        self._is_set = False
        # Its lock lets the same thread in again, unlike that of an event.
        self._changed = threading.Condition()

    def is_set(self) -> bool:
        """Say whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and let go on whoever waits."""
        with self._changed:
            self._is_set = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Unset it."""
        self._is_set = False

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until it is set, but no longer than that; say whether it is."""
        with self._changed:
            return self._changed.wait_for(self.is_set, timeout_seconds)
