"""Clean-ups, by hand and by policy: a job row says what is to go, and whoever has time works on it."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from ..setting_types import RetentionPolicy
from ..storage.database import Database
from ..storage.job_rows import (
    JobRow,
    add_job,
    find_active_job,
    find_job,
    last_policy_run,
    lease_job,
    list_active_jobs,
    list_jobs,
    update_job,
)
from ..storage.models import Job
from ..storage.progress import note_heartbeat
from ..storage.retention import (
    Deleted,
    Preview,
    delete_stragglers,
    delete_window,
    drop_empty_totals,
    find_bounds,
    next_id,
    preview_clean,
)
from ..vocabulary import Kind

__all__ = [
    "JobRow",
    "Preview",
    "enforce_retention",
    "find_active_job",
    "find_job",
    "list_jobs",
    "preview_clean",
    "request_clean",
    "sweep_jobs",
    "work_on_job",
]

logger = logging.getLogger("melody_logs")

LEASE_SECONDS = 30
MOST_ATTEMPTS = 5
#: A window is made larger or smaller so that its transaction takes about this long.
WINDOW_SECONDS = 0.05
SMALLEST_WINDOW, FIRST_WINDOW, LARGEST_WINDOW = 500, 2_000, 20_000
POLICY_RUN_EVERY = timedelta(hours=1)


class _LeaseLostError(Exception):
    """Somebody else took the job over: the window in hand is rolled back, it is theirs to do."""


def request_clean(database: Database, kind: Kind, cutoff: datetime, *, actor: str, policy: str | None = None) -> JobRow:
    """Order the deletion of the rows of *kind* recorded before *cutoff*; nothing is deleted yet.

    A kind has one active job at a time: if there is one, it is returned instead, with its own cutoff.

    :param actor: who asked, as text for the receipt.
    :param policy: the retention policy in words, if one asked.
    """
    active = find_active_job(database, kind)
    if active is not None:
        return active
    preview = preview_clean(database, kind, cutoff)
    with database.read() as connection:
        now = database.now(connection)
        bounds = find_bounds(connection, kind, cutoff)
    empty = bounds.first_id is None or bounds.last_id is None
    values = {
        "action": "clean",
        "kind": kind,
        "active_kind": None if empty else kind,
        "state": "finished" if empty else "queued",
        "actor": actor[:255],
        "policy": policy,
        "cutoff": cutoff,
        "cursor": (bounds.first_id or 1) - 1,
        "last_id": bounds.last_id or 0,
        "total_rows": preview.rows,
        "oldest_at": preview.oldest_at,
        "newest_at": preview.newest_at,
        "created_at": now,
        "started_at": now if empty else None,
        "finished_at": now if empty else None,
    }
    return add_job(database, values)


def work_on_job(database: Database, job_id: int, *, budget_seconds: float) -> JobRow:
    """Delete in windows, each its own transaction, until the job is done or *budget_seconds* are used.

    Safe beside others: whoever holds the lease works, the rest get the job as it stands. A worker that dies leaves a
    cursor and a lease that runs out.

    :raise LookupError: if there is no such job.
    """
    owner = str(uuid.uuid4())
    job = lease_job(database, job_id, owner, LEASE_SECONDS)
    if job is not None:
        try:
            _delete_windows(database, job, owner, budget_seconds)
        except _LeaseLostError:
            logger.info("clean-up %d was taken over; the window in hand was rolled back", job_id)
        except Exception as error:
            _note_failure(database, job, owner, error)
    found = find_job(database, job_id)
    if found is None:
        raise LookupError(f"there is no job {job_id}")
    return found


def sweep_jobs(database: Database, *, budget_seconds: float) -> list[JobRow]:
    """Go on with every active job for an equal share of what is left of *budget_seconds*: a long one holds up none."""
    end = time.monotonic() + budget_seconds
    jobs = list_active_jobs(database)
    return [
        work_on_job(database, job.id, budget_seconds=(end - time.monotonic()) / (len(jobs) - number))
        for number, job in enumerate(jobs)
        if time.monotonic() < end
    ]


def enforce_retention(database: Database, policies: Iterable[RetentionPolicy]) -> list[JobRow]:
    """Order the clean-up of what each policy says is too old, at most once an hour a kind; return the new jobs.

    That it was looked is noted for ``health``, also where nothing is too old.
    """
    ordered: list[JobRow] = []
    now = None
    for policy in policies:
        with database.read() as connection:
            now = database.now(connection)
        last = last_policy_run(database, policy.kind)
        if last is not None and now - last.created_at < POLICY_RUN_EVERY:
            continue
        cutoff = now - timedelta(days=policy.days)
        if preview_clean(database, policy.kind, cutoff).rows:
            words = f"{policy.kind} older than {policy.days} days"
            ordered.append(request_clean(database, policy.kind, cutoff, actor="retention policy", policy=words))
    if now is not None:
        with database.transaction() as connection:
            note_heartbeat(connection, "retention", database.now(connection))
    return ordered


def _delete_windows(database: Database, job: JobRow, owner: str, budget_seconds: float) -> None:
    """Delete window after window, each under the write lock.

    A writer that amends a row reads it first and counts the change; a row deleted between the two would be counted
    for ever. The windows are short, and writers that wait take their turn between them.

    :raise _LeaseLostError: if somebody else has taken the job over.
    """
    started = time.monotonic()
    cursor, window, finished = job.cursor, FIRST_WINDOW, False
    while not finished:
        with database.write() as connection:
            window_started = time.monotonic()
            deleted, cursor, finished = _delete_one_window(connection, job, cursor, window)
            elapsed_milliseconds = round((time.monotonic() - started) * 1000)
            progress = {
                "cursor": cursor,
                "done_rows": Job.done_rows + deleted.rows,
                "done_bytes": Job.done_bytes + deleted.bytes,
                "duration_milliseconds": job.duration_milliseconds + elapsed_milliseconds,
                "attempts": 0,
                "error": None,
            }
            now = database.now(connection)
            stops = finished or time.monotonic() - started >= budget_seconds
            if not update_job(connection, job.id, owner, progress | _lease(now, stops) | _end(now, finished)):
                raise _LeaseLostError
        if stops:
            return
        window = _adapt(window, time.monotonic() - window_started)


def _delete_one_window(connection: Connection, job: JobRow, cursor: int, window: int) -> tuple[Deleted, int, bool]:
    """Delete one window after *cursor*; return what went, the new cursor, and whether the job is done."""
    if cursor < job.last_id:
        following = next_id(connection, job.kind, cursor)
        # A stretch of ids without rows is stepped over at once.
        cursor = max(cursor, (following or job.last_id + 1) - 1)
    if cursor >= job.last_id:
        deleted = delete_stragglers(connection, job.kind, job.cutoff, limit=window)
        if deleted.rows == 0:
            drop_empty_totals(connection, job.kind, job.cutoff)
        return deleted, cursor, deleted.rows == 0
    end = min(cursor + window, job.last_id)
    return delete_window(connection, job.kind, job.cutoff, after_id=cursor, last_id=end), end, False


def _lease(now: datetime, stops: bool) -> dict[str, Any]:
    if stops:
        return {"lease_until": None, "lease_owner": None}
    return {"lease_until": now + timedelta(seconds=LEASE_SECONDS)}


def _end(now: datetime, finished: bool) -> dict[str, Any]:
    return {"state": "finished", "active_kind": None, "finished_at": now} if finished else {}


def _adapt(window: int, seconds: float) -> int:
    if seconds > WINDOW_SECONDS:
        return max(SMALLEST_WINDOW, window // 2)
    return min(LARGEST_WINDOW, window * 2) if seconds < WINDOW_SECONDS / 2 else window


def _note_failure(database: Database, job: JobRow, owner: str, error: Exception) -> None:
    """Write down why a job stopped; after five attempts without progress it has failed."""
    logger.error("clean-up %d of the %s log stopped: %s", job.id, job.kind, error)
    failed = job.attempts + 1 >= MOST_ATTEMPTS
    with database.transaction() as connection:
        now = database.now(connection)
        end = {"state": "failed", "active_kind": None, "finished_at": now} if failed else {}
        values = {"attempts": job.attempts + 1, "error": str(error)[:1024], "lease_until": None, "lease_owner": None}
        update_job(connection, job.id, owner, values | end)
