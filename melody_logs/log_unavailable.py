"""The exception of ``MELODY_LOGS_ON_FAILURE = "fail_closed"``; apart from the others, for it needs werkzeug."""

from __future__ import annotations

from werkzeug.exceptions import ServiceUnavailable

from .errors import MelodyLogsError

RETRY_AFTER_SECONDS = 5


class LogUnavailable(MelodyLogsError, ServiceUnavailable):
    """An entry could not be made durable, and the app wants nothing done that is not logged.

    Its text says why, for the app's log. A visitor who gets it as the answer, status 503, is told nothing of that.
    """

    description = "This cannot be done now, because it could not be logged. Please try again soon."

    def __init__(self, reason: str) -> None:
        super().__init__(retry_after=RETRY_AFTER_SECONDS)
        self.args = (reason,)

    def __str__(self) -> str:
        return str(self.args[0])
