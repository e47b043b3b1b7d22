"""The Celery tasks: a few lines around each job, and the schedule that beat drives them by.

Nothing depends on a message: the rows and spools say what is to be done, so lost, doubled and late ticks are harmless.
A task takes no arguments. It works for the app of its app context, as Flask's documentation gives one to tasks, else
for the app that :func:`beat_schedule` was called for in this process.
"""

from __future__ import annotations

import logging
import time
import weakref
from datetime import timedelta
from typing import Any

from celery import shared_task
from flask import Flask, has_app_context

from .errors import MelodyLogsError, NotInitialisedError
from .jobs import clean as clean_jobs
from .jobs import expire, locate
from .state import State, state_of
from .storage.progress import note_heartbeat

logger = logging.getLogger("melody_logs")

LOCATE_BUDGET_SECONDS = 10.0
CLEAN_BUDGET_SECONDS = 20.0
#: A task that runs longer hangs: its pool process is ended, and what it had claimed is free again after its lease.
TIME_LIMIT_SECONDS = 120
COMPLAINT_EVERY_SECONDS = 60.0
#: Seconds between two ticks of each task; a tick that waited as long as that is dropped, the next one does its work.
INTERVALS_SECONDS = {
    "melody_logs.locate_pending": 2.0,
    "melody_logs.drain": 5.0,
    "melody_logs.heartbeat": 30.0,
    "melody_logs.expire_pending": 60.0,
    "melody_logs.clean": 60.0,
}
_complained_at: dict[str, float] = {}
#: The app that this process made a schedule for: tasks work for it where the host gives them no app context.
_served: weakref.ref[Flask] | None = None


def beat_schedule(app: Flask) -> dict[str, dict[str, Any]]:
    """Make the entries for ``beat_schedule`` of the Celery app that serves *app*.

    :raise NotInitialisedError: if ``init_app`` has not been called on it.
    """
    global _served
    state_of(app)
    _served = weakref.ref(app)
    return {
        name.replace("_", "-"): {"task": name, "schedule": seconds, "options": {"expires": seconds}}
        for name, seconds in INTERVALS_SECONDS.items()
    }


def _find_locations() -> None:
    """Find the location of sign-ins that wait for one."""
    state = _state()
    try:
        locate.locate_pending(state.database, state.locator, budget_seconds=LOCATE_BUDGET_SECONDS)
    except MelodyLogsError as error:
        _complain("sign-ins wait for their location", error)


def _drain() -> None:
    """Move what waits in the spools into the log tables."""
    try:
        _state().drain.run_once(include_live=True)
    except Exception as error:
        _complain("entries wait in the spool", error)


def _clean() -> None:
    """Order the clean-ups that are due, and go on with those under way."""
    state = _state()
    clean_jobs.enforce_retention(state.database, state.settings.retention)
    clean_jobs.sweep_jobs(state.database, budget_seconds=CLEAN_BUDGET_SECONDS)


def _expire_pending() -> None:
    """Give up on messages whose sending never said how it ended, and on reports of messages that never came."""
    state = _state()
    expire.expire_pending(state.database, older_than=timedelta(minutes=state.settings.pending_minutes))
    expire.forget_early_deliveries(state.database)


def _note_heartbeats() -> None:
    """Say that a worker works, and that a beat drives it."""
    database = _state().database
    with database.transaction() as connection:
        now = database.now(connection)
        for name in ("worker", "beat"):
            note_heartbeat(connection, name, now)


_OPTIONS = {"ignore_result": True, "acks_late": False, "time_limit": TIME_LIMIT_SECONDS, "serializer": "json"}
locate_pending = shared_task(name="melody_logs.locate_pending", **_OPTIONS)(_find_locations)
drain = shared_task(name="melody_logs.drain", **_OPTIONS)(_drain)
clean = shared_task(name="melody_logs.clean", **_OPTIONS)(_clean)
expire_pending = shared_task(name="melody_logs.expire_pending", **_OPTIONS)(_expire_pending)
heartbeat = shared_task(name="melody_logs.heartbeat", **_OPTIONS)(_note_heartbeats)


def _state() -> State:
    if has_app_context():
        return state_of()
    app = _served() if _served is not None else None
    if app is None:
        raise NotInitialisedError(
            "a task of melody_logs ran outside an app context: give your Celery app a task class that calls tasks "
            'inside "with app.app_context():", as Flask\'s documentation on Celery shows'
        )
    return state_of(app)


def _complain(what: str, error: Exception) -> None:
    """Log an error of a task that ticks often, at most once a minute: ``health`` shows it all the time."""
    now = time.monotonic()
    if now - _complained_at.get(what, float("-inf")) >= COMPLAINT_EVERY_SECONDS:
        _complained_at[what] = now
        logger.warning("%s: %s", what, error)
