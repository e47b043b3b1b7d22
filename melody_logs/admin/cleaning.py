"""The Clean button: what would go, the order to delete it, and its progress until the receipt."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

from flask import abort, current_app, redirect, request, url_for
from werkzeug.wrappers import Response

from ..jobs.clean import find_active_job, find_job, preview_clean, request_clean, work_on_job
from ..state import state_of
from ..vocabulary import TITLES, Kind
from . import words
from .access import may_write
from .addresses import read_row_id, require_enabled
from .cleanups import present_progress
from .forgery import has_secret
from .people import actor_id_of, find_people
from .rendering import database_now, render
from .times import exact

FIRST_BUDGET_SECONDS = 5.0
POLL_BUDGET_SECONDS = 1.0
_LONGEST_ACTOR = 255


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What the dialog asks: *nouns* is the exact count that goes, *cutoff* travels with the form."""

    title: str
    nouns: str
    rows: int
    oldest: str
    newest: str
    size: str
    cutoff: str


def ask_before_clean(kind: Kind) -> str:
    """What Clean would delete, and the button that does it."""
    require_enabled(kind)
    state = state_of()
    active = find_active_job(state.database, kind)
    question = None if active else _make_question(kind)
    return render(
        "clean.html",
        "_clean_dialog.html",
        page_title=f"Clean {TITLES[kind]}",
        kind=kind,
        title=TITLES[kind],
        question=question,
        can_be_signed=has_secret(),
        active=present_progress(active, find_people(())) if active else None,
        age=words.days(state.settings.clean_days),
        heading=question.title if question else "A clean-up is running already",
    )


def start_clean(kind: Kind) -> Response:
    """Order the clean-up that was confirmed, work on it for a while, and lead to its progress."""
    require_enabled(kind)
    state = state_of()
    cutoff = _read_cutoff(request.form.get("cutoff", ""))
    days = state.settings.clean_days
    if cutoff > database_now(state.database) - timedelta(days=days):
        abort(400, f"Only rows older than {words.days(days)} are cleaned here. Nothing was deleted.")
    job = request_clean(state.database, kind, cutoff, actor=name_actor())
    work_on_job(state.database, job.id, budget_seconds=FIRST_BUDGET_SECONDS)
    return redirect(url_for(".cleaning", kind=kind, job_id=job.id), 303)


def show_cleaning(kind: Kind, job_id: str) -> str:
    """How far a clean-up is, then its receipt; each look at it does a little of the work, so that it always ends."""
    state = state_of()
    job = find_job(state.database, read_row_id(job_id))
    if job is None or job.kind != kind:
        abort(404)
    if job.is_active and may_write() and request.method == "GET":
        job = work_on_job(state.database, job.id, budget_seconds=POLL_BUDGET_SECONDS)
    # Only the receipt names who asked, so the polls before it do not ask the host.
    people = find_people(() if job.is_active else [actor_id_of(job)])
    progress = present_progress(job, people)
    return render(
        "cleaning.html",
        "_cleaning.html",
        page_title=progress.title,
        reloads=progress.is_active,
        kind=kind,
        title=TITLES[kind],
        progress=progress,
        back=url_for(".entries", kind=kind) if state.settings.is_enabled(kind) else url_for(".retention"),
    )


def name_actor() -> str:
    """Name who asks, for the receipt: the user that Flask-Login knows, where the host has it."""
    if not hasattr(current_app, "login_manager"):
        return "admin page"
    from flask_login import current_user

    user_id = current_user.get_id() if current_user else None
    return f"user {user_id}"[:_LONGEST_ACTOR] if user_id else "admin page"


def _make_question(kind: Kind) -> Question:
    state = state_of()
    days = state.settings.clean_days
    cutoff = database_now(state.database) - timedelta(days=days)
    preview = preview_clean(state.database, kind, cutoff)
    nouns = words.count(kind, preview.rows)
    return Question(
        title=f"Delete {nouns} older than {words.days(days)}" if preview.rows else "There is nothing to clean",
        nouns=nouns,
        rows=preview.rows,
        oldest=exact(preview.oldest_at) if preview.oldest_at else "",
        newest=exact(preview.newest_at) if preview.newest_at else "",
        size=words.size(preview.bytes),
        cutoff=cutoff.isoformat(),
    )


def _read_cutoff(text: str) -> datetime:
    """Read the instant that the dialog named: what is deleted is exactly what it counted."""
    try:
        cutoff = datetime.fromisoformat(text)
    except ValueError:
        abort(400, '"cutoff" must be the instant that the dialog named. Nothing was deleted.')
    if cutoff.tzinfo is None:
        abort(400, '"cutoff" must name its time zone. Nothing was deleted.')
    try:
        return cutoff.astimezone(UTC)
    except OverflowError:
        abort(400, '"cutoff" lies outside the years 1 to 9999 in UTC. Nothing was deleted.')
