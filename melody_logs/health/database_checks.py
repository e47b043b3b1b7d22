"""What the database and the figures from it say: tables, keys, worker, locations, clean-ups, gaps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from ..clients.keys import SigningKeys
from ..errors import ConfigurationError, StorageUnavailableError
from ..state import State
from ..storage.destination import show_url
from ..storage.job_rows import list_jobs
from ..storage.trouble import explain_trouble
from .figures import MOST_PENDING_COUNTED, Figures
from .findings import Finding, split

#: Older signs of life mean that a part does not work: several times its beat.
WORKER_SILENT_AFTER = timedelta(minutes=4)
LOCATION_LATE_AFTER = timedelta(minutes=10)
WORKER_REMEDY = (
    "start a worker and beat: those of your own Celery app with beat_schedule(app), or celery -A melody_logs.worker "
    "worker and beat, with your app in MELODY_WORKER_APP and the broker in MELODY_WORKER_BROKER_URL"
)


def check_tables(state: State) -> Iterable[Finding]:
    """Say whether the database answers, and whether its tables are those of this version."""
    yield _look_at_tables(state)


def _look_at_tables(state: State) -> Finding:
    # Alembic is loaded with it, and only for who looks.
    from ..storage import schema

    destination = state.database.destination
    shown = show_url(destination.url)
    try:
        current = schema.current_revision(state.database)
    except StorageUnavailableError as error:
        return Finding("Database", "bad", *split(error))
    except (SQLAlchemyError, OSError) as error:
        return Finding("Database", "bad", *explain_trouble(destination, error))
    misfit = schema.find_misfit(state.database, current)
    if misfit is not None:
        return Finding("Tables", "bad", *split(misfit))
    if destination.temporary:
        return Finding("Tables", "good", f"temporary, in {shown}")
    return Finding("Tables", "good", f"at version {current} in {shown}")


def check_signing_key(state: State) -> Iterable[Finding]:
    """Find signing keys that the key of today does not open: no program would get a token."""
    try:
        SigningKeys(state.database, state.derive_key).check_private()
    except ConfigurationError as error:
        yield Finding("Keys", "bad", *split(error))


def check_worker(figures: Figures) -> Iterable[Finding]:
    """Say when worker and beat were last seen."""
    now = figures.database_at
    for title, last in (("Worker", figures.last_worker_at), ("Beat", figures.last_beat_at)):
        if last is None or now is None:
            text = "not seen yet: without it no locations, no automatic clean-up"
            yield Finding(title, "warning", text, WORKER_REMEDY)
        elif now - last > WORKER_SILENT_AFTER:
            yield Finding(title, "bad", "silent", WORKER_REMEDY, last)
        else:
            # It may have been seen after the clock was read.
            yield Finding(title, "good", f"seen {max(0, int((now - last).total_seconds()))} s ago")


def check_locations(figures: Figures) -> Iterable[Finding]:
    """Find sign-ins that have waited long for their location."""
    age = timedelta(seconds=figures.pending_location_age_seconds or 0)
    if figures.database_at is not None and age > LOCATION_LATE_AFTER:
        remedy = "start the worker, or by hand: flask melody-logs locate"
        count = figures.pending_locations or 0
        more = " or more" if count >= MOST_PENDING_COUNTED else ""
        text = f"{count:,}{more} sign-ins wait for their location"
        yield Finding("Locations", "warning", text, remedy, figures.database_at - age)


def check_jobs(state: State) -> Iterable[Finding]:
    jobs = list_jobs(state.database, limit=20)
    newest = {job.kind: job for job in reversed(jobs)}
    for kind, job in sorted(newest.items()):
        if job.state == "failed":
            yield Finding("Clean-up", "bad", f"the last one of {kind} failed: {job.error}", "", job.finished_at)
        elif job.is_active and job.error:
            yield Finding("Clean-up", "warning", f"of {kind} does not go on: {job.error}", "", job.created_at)


def check_gaps(figures: Figures) -> Iterable[Finding]:
    """Say what was lost, kind by kind."""
    for kind, lost in sorted((figures.lost or {}).items()):
        last_at = max((gap.last_at for gap in figures.gaps or () if gap.kind == kind), default=None)
        remedy = "the table of gaps on the Health page, or health --json, says when"
        yield Finding("Gap", "warning", f"{lost:,} {kind} entries were lost", remedy, last_at)
