"""Deleting through the API: what a delete has to do, and how a client follows one that takes longer."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from marshmallow import Schema, fields

from ..jobs.clean import JobRow, find_job, request_clean, work_on_job
from ..storage.database import Database
from ..vocabulary import KINDS, Kind
from .problems import ProblemError, bad_parameter
from .rows import Instant

DELETE_SECONDS = 5.0
POLL_SECONDS = 1.0
YOUNGEST_AGE = timedelta(hours=24)
#: Somebody else holds the job: look again after this.
_PAUSE_SECONDS = 0.1


class CleanupSchema(Schema):
    """A clean-up: what is to go, and how much of it has gone."""

    id = fields.Integer()
    kind = fields.String()
    state = fields.String()
    before = Instant(attribute="cutoff")
    totalRows = fields.Integer(attribute="total_rows")
    doneRows = fields.Integer(attribute="done_rows")
    percent = fields.Integer()
    createdAt = Instant(attribute="created_at")
    startedAt = Instant(attribute="started_at", allow_none=True)
    finishedAt = Instant(attribute="finished_at", allow_none=True)


def delete_before(database: Database, kind: Kind, cutoff: datetime, *, actor: str) -> JobRow:
    """Delete the rows of *kind* recorded before *cutoff* for at most five seconds; the rest is the worker's.

    A kind has one active clean-up. One with the same or a later cutoff already does what is asked, so it is worked on
    instead. One with an earlier cutoff is finished first; if that uses up the time, the caller has to ask again.

    :return: the job that covers *cutoff*, finished or still active.
    :raise ProblemError: 409 if an earlier clean-up is in the way, 500 if the clean-up failed.
    """
    end = time.monotonic() + DELETE_SECONDS
    while True:
        job = request_clean(database, kind, cutoff, actor=actor)
        covers = job.cutoff >= cutoff
        job = _work_until(database, job, end)
        if covers and job.state == "failed":
            raise ProblemError(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                f"The clean-up {job.id} failed; the pages and the log of the application say why.",
            )
        if covers:
            return job
        if job.is_active:
            raise ProblemError(
                HTTPStatus.CONFLICT,
                f"The clean-up {job.id} of this log with an earlier cutoff is still running, so yours was not started; "
                "try again when it is finished.",
                headers={"Retry-After": "5"},
                members={"cleanup": job.id},
            )


def refuse_recent(database: Database, cutoff: datetime) -> None:
    """Refuse a cutoff that is in the future or not a day old, by the database's clock.

    :raise ProblemError: 409.
    """
    with database.read() as connection:
        now = database.now(connection)
    if cutoff <= now - YOUNGEST_AGE:
        return
    when = "in the future" if cutoff > now else "less than 24 hours ago"
    raise bad_parameter("before", f"is {when}; add allow_recent=true if that is meant", HTTPStatus.CONFLICT)


def poll_cleanup(database: Database, job_id: int) -> Any:
    """Read a clean-up as JSON and, while it is not finished, do up to a second of its work.

    So a delete also ends where no worker runs.

    :raise LookupError: if there is none with that id.
    """
    job = find_job(database, job_id)
    if job is None or job.kind not in KINDS:
        raise LookupError
    if job.is_active:
        job = work_on_job(database, job.id, budget_seconds=POLL_SECONDS)
    return CleanupSchema().dump(job)


def _work_until(database: Database, job: JobRow, end: float) -> JobRow:
    while job.is_active:
        left = end - time.monotonic()
        if left <= 0:
            break
        job = work_on_job(database, job.id, budget_seconds=left)
        if job.is_active:
            time.sleep(max(0.0, min(_PAUSE_SECONDS, end - time.monotonic())))
    return job
