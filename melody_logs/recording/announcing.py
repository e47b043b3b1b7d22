"""Our signals, as they leave us: a receiver of the host's neither breaks the recording nor calls itself without end."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from blinker import NamedSignal
from flask import current_app, has_app_context

from .losses import SparseLog

#: The signals being sent, so that a receiver that records does not call itself without end.
_being_sent: ContextVar[frozenset[str]] = ContextVar("melody_logs_being_sent", default=frozenset())


class Announcer:
    """Sends signals for an app."""

    def __init__(self) -> None:
        # Of its own: receivers that fail must not keep losses from being told, nor the other way round.
        self._log = SparseLog()

    def send(self, signal: NamedSignal, **payload: Any) -> None:
        """Emit a signal, but not to a receiver of that same signal at work: what it records is not announced.

        Nothing is raised: whatever goes wrong, in a receiver or in here, is logged, and the entry is recorded all the
        same.
        """
        try:
            under_way = _being_sent.get()
            if not signal.receivers or signal.name in under_way or not has_app_context():
                return
            token = _being_sent.set(under_way | {signal.name})
            try:
                signal.send(current_app._get_current_object(), **payload)  # type: ignore[attr-defined]
            finally:
                _being_sent.reset(token)
        except Exception:
            self._log.warn(f'a receiver of the signal "{signal.name}" raised', with_traceback=True)
