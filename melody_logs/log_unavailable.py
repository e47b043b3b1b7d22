"""The exception of ``MELODY_LOGS_ON_FAILURE = "fail_closed"``; apart from the others, for it needs werkzeug."""

from __future__ import annotations

from werkzeug.exceptions import ServiceUnavailable

from .errors import MelodyLogsError

RETRY_AFTER_SECONDS = 5


class LogUnavailable(MelodyLogsError, ServiceUnavailable):
    """An entry could not be made durable, and the app wants nothing done that is not logged.

    ``reason`` says why, with paths of the server, for the app's log; a traceback shows it too. The text, and the answer
    of status 503 that it is when nobody handles it, tell a visitor nothing of that: hosts answer with an error's text.
    """

    description = "This cannot be done now, because it could not be logged. Please try again soon."

    def __init__(self, reason: str) -> None:
        super().__init__(retry_after=RETRY_AFTER_SECONDS)
        self.reason = reason
        self.add_note(reason)
