"""How the worker and beat wait for a broker that is away: they ask again soon, and for ever."""

from __future__ import annotations

from typing import Any

from celery.app.amqp import AMQP
from kombu.connection import Connection

RETRY_SECONDS = 2.0


class PatientConnection(Connection):
    """A connection that is tried again every two seconds; kombu's own pauses grow to half a minute."""

    def ensure_connection(self, *arguments: Any, **options: Any) -> Any:
        """Connect, as kombu's own does, with our pauses where the caller names none."""
        pauses = {"interval_start": RETRY_SECONDS, "interval_step": 0, "interval_max": RETRY_SECONDS}
        return super().ensure_connection(*arguments, **pauses | options)  # type: ignore[no-untyped-call]


class PatientBroker(AMQP):  # type: ignore[misc]  # Celery has no types
    """Celery's ways to its broker, over such connections."""

    Connection = PatientConnection
