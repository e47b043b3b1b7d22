"""Clean-ups in words: the order, its progress, its receipt."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime

from flask import url_for

from ..jobs.clean import JobRow
from . import words
from .people import People, actor_id_of
from .tables import Cell
from .times import Moment, exact, moment, span
from .visible_text import reveal


@dataclasses.dataclass(frozen=True, slots=True)
class JobLine:
    """A job as a line of the history."""

    url: str
    mark: words.Mark
    what: str
    cutoff: str
    actor: Cell
    policy: str
    done: str
    freed: str
    duration: str
    when: Moment


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """A job as its page shows it; *pace* is empty while nothing is known of it."""

    url: str
    title: str
    mark: words.Mark
    is_active: bool
    done: int
    total: int
    percent: int
    counts: str
    pace: str
    receipt: tuple[tuple[str, Cell], ...]
    error: str


def present_jobs(jobs: Sequence[JobRow], now: datetime, people: People) -> tuple[JobLine, ...]:
    """Make a line of each job."""
    return tuple(
        JobLine(
            url=url_for(".cleaning", kind=job.kind, job_id=job.id),
            mark=words.mark_of(words.JOB_MARKS, job.state),
            what=words.NOUNS[job.kind][1],
            cutoff=exact(job.cutoff),
            actor=_present_actor(job, people),
            policy=reveal(job.policy),
            done=f"{job.done_rows:,} of {job.total_rows:,}" if job.is_active else f"{job.done_rows:,}",
            freed=words.size(job.done_bytes),
            duration=span(job.duration_milliseconds / 1000),
            when=moment(job.created_at, now),
        )
        for job in jobs
    )


def present_progress(job: JobRow, people: People) -> Progress:
    """Say how far a job is, or what it did."""
    # Rows that were written late with an early time join while it runs, so done may pass what was counted.
    total = max(job.total_rows, job.done_rows)
    nouns = words.count(job.kind, job.done_rows if job.state == "finished" else total)
    titles = {"finished": f"Deleted {nouns}", "failed": f"Stopped deleting {nouns}"}
    return Progress(
        url=url_for(".cleaning", kind=job.kind, job_id=job.id),
        title=titles.get(job.state, f"Deleting {nouns}"),
        mark=words.mark_of(words.JOB_MARKS, job.state),
        is_active=job.is_active,
        done=job.done_rows,
        total=max(total, 1),
        percent=job.percent,
        counts=f"{job.done_rows:,} of {total:,}",
        pace=_say_pace(job, total),
        receipt=_write_receipt(job, people),
        error=reveal(job.error),
    )


def _say_pace(job: JobRow, total: int) -> str:
    if not job.is_active or not job.done_rows or not job.duration_milliseconds:
        return ""
    rate = job.done_rows * 1000 / job.duration_milliseconds
    return f"{rate:,.0f} rows a second, about {span((total - job.done_rows) / rate)} left"


def _present_actor(job: JobRow, people: People) -> Cell:
    person = people.find(actor_id_of(job))
    return Cell(person.name, title=person.whole, url=person.url) if person else Cell(reveal(job.actor))


def _write_receipt(job: JobRow, people: People) -> tuple[tuple[str, Cell], ...]:
    actor = _present_actor(job, people)
    lines: list[tuple[str, str | Cell]] = [
        ("Recorded before", exact(job.cutoff)),
        ("Oldest", exact(job.oldest_at) if job.oldest_at else ""),
        ("Newest", exact(job.newest_at) if job.newest_at else ""),
        ("Asked for by", Cell(actor.title or actor.text, url=actor.url)),
        ("Policy", reveal(job.policy)),
        ("Started", exact(job.started_at) if job.started_at else ""),
        ("Finished", exact(job.finished_at) if job.finished_at else ""),
        ("Work took", span(job.duration_milliseconds / 1000)),
        ("Freed", words.size(job.done_bytes)),
    ]
    return tuple((name, Cell(value) if isinstance(value, str) else value) for name, value in lines if value)
