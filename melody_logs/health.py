"""Is everything well, and if not, what helps: for the command, the pages and monitoring."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from flask import current_app, has_app_context
from sqlalchemy.exc import SQLAlchemyError

from .clients.keys import SigningKeys
from .errors import ConfigurationError, MelodyLogsError, StorageUnavailableError
from .host_layout import TROUBLE, check_layout
from .recording.spool_folder import find_obstacle
from .state import State
from .storage.destination import show_url
from .storage.job_rows import list_jobs
from .storage.locations import find_oldest_pending
from .storage.progress import read_heartbeats, sum_gaps
from .storage.trouble import explain_trouble, find_reason

logger = logging.getLogger("melody_logs")

Level = Literal["good", "warning", "bad"]

#: A page shows this: a database that answers more slowly than this is a finding.
PATIENCE_SECONDS = 2.0

#: Older signs of life mean that a part does not work: several times its beat.
WORKER_SILENT_AFTER = timedelta(minutes=5)
SPOOL_LATE_AFTER = timedelta(minutes=1)
LOCATION_LATE_AFTER = timedelta(minutes=10)
OLD_LOCATIONS_AFTER_DAYS = 365
FULL_SHARE = 0.75
THREADS_REMEDY = (
    "let the web server start threads (uWSGI: --enable-threads); or set MELODY_LOGS_DRAIN_IN_PROCESS to False and run "
    "the worker, or flask melody-logs drain by cron"
)
WORKER_REMEDY = (
    "start a worker and beat: those of your own Celery app with beat_schedule(app), or celery -A melody_logs.worker "
    "worker and beat, with your app in MELODY_WORKER_APP and the broker in MELODY_WORKER_BROKER_URL"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: its name, how it stands in words, and what helps."""

    name: str
    level: Level
    text: str
    remedy: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """All findings; ``well`` if none of them is bad."""

    well: bool
    findings: tuple[Finding, ...]


def check_health(state: State) -> Health:
    """Look at tables, spool, drain, worker, locations and clean-ups.

    Never raises: what cannot be read is a finding. A database that does not answer is asked once, for a few seconds.
    """
    findings = [*_guarded("Recording", _check_recording, state), *_guarded("Spool", _check_spool, state)]
    findings += _guarded("Sign-in views", _check_watched_views, state)
    findings += _guarded("Pages", _check_pages, state)
    with state.database.reads_within(PATIENCE_SECONDS):
        for check in (_check_tables, _check_signing_key, _check_worker, _check_jobs, _check_gaps):
            found = _guarded("Database", check, state)
            findings += found
            if any(finding.level == "bad" and finding.name in ("Database", "Tables") for finding in found):
                break
    findings += _guarded("Location data", _check_geolocation, state)
    return Health(all(finding.level != "bad" for finding in findings), tuple(findings))


def _guarded(name: str, check: Callable[[State], Iterable[Finding]], state: State) -> list[Finding]:
    try:
        return list(check(state))
    except Exception as error:
        if not isinstance(error, SQLAlchemyError | MelodyLogsError | OSError):
            logger.exception("a check of the health of melody_logs could not be made")
        return [Finding(name, "bad", f"a check could not be made: {find_reason(error)}", "see the server's log")]


def _check_watched_views(state: State) -> Iterable[Finding]:
    """Find watched login views that the app does not have: their sign-ins would be missing without a word."""
    if not has_app_context():
        return
    for endpoint in state.seams.watched_views:
        rules = list(current_app.url_map.iter_rules(endpoint)) if endpoint in current_app.view_functions else []
        if not rules:
            text = f'watch_sign_in("{endpoint}"): the app has no such endpoint, so nothing is recorded for it'
            yield Finding("Sign-in views", "warning", text, "give the endpoint as flask routes shows it")
        elif not any("POST" in (rule.methods or ()) for rule in rules):
            text = f'watch_sign_in("{endpoint}"): the endpoint takes no POST, so nothing is recorded for it'
            yield Finding("Sign-in views", "warning", text, "watch the endpoint that the form is sent to")


def _check_pages(state: State) -> Iterable[Finding]:
    """Find what the pages of this process could not use of the host's."""
    base_template = state.settings.base_template
    seen = {trouble.name for trouble in state.troubles.lasting()}
    # Other processes than those that show pages have not tried it.
    wrong = check_layout(base_template) if base_template and has_app_context() and TROUBLE not in seen else None
    if wrong:
        yield Finding(TROUBLE, "warning", *wrong)
    for trouble in state.troubles.lasting():
        yield Finding(trouble.name, "warning", trouble.text, trouble.remedy, trouble.since)


def _check_recording(state: State) -> list[Finding]:
    enabled = [kind for kind in ("email", "sms", "sign-in") if state.settings.is_enabled(kind)]
    findings = []
    if enabled:
        findings.append(Finding("Recording", "good", f"enabled for {', '.join(enabled)}"))
    else:
        remedy = "set MELODY_LOGS_ENABLE_SIGN_IN_LOG, …_EMAIL_LOG or …_SMS_LOG to True"
        findings.append(Finding("Recording", "warning", "no kind is enabled", remedy))
    try:
        state.derive_key("identity")
    except ConfigurationError as error:
        text, remedy = _split(error)
        findings.append(Finding("Keys", "bad", text, remedy))
    failures = sum(state.recorder.failures.values())
    if failures:
        text = f"{failures} entries were lost to an error inside melody_logs in this process"
        findings.append(
            Finding("Recording errors", "bad", text, "read the log of the logger melody_logs and report it")
        )
    return findings


def _check_spool(state: State) -> list[Finding]:
    drain = state.drain.state
    findings = []
    try:
        waiting = state.spool.waiting()
    except (sqlite3.Error, OSError) as error:
        return [Finding("Spool", "bad", f"cannot be read: {error}", f'look at "{state.spool.directory}"')]
    wait = "entry waits" if waiting.entries == 1 else "entries wait"
    text = f"{waiting.entries:,} {wait} ({waiting.bytes / 1e6:.1f} MB)" if waiting.entries else "empty"
    full = waiting.bytes > FULL_SHARE * state.settings.spool_max_megabytes * 1024 * 1024
    late = waiting.oldest_at is not None and _now(waiting.oldest_at) - waiting.oldest_at > SPOOL_LATE_AFTER
    level: Level = "bad" if late else "warning" if full else "good"
    remedy = "by hand: flask melody-logs drain" if level != "good" else ""
    findings.append(Finding("Spool", level, text, remedy, waiting.oldest_at if late else None))
    findings += _check_spool_folder(state)
    if waiting.dead_letters:
        text = f"{waiting.dead_letters:,} entries could not be written and are kept aside in the spool"
        findings.append(Finding("Dead letters", "warning", text, "read the log of the logger melody_logs"))
    findings += _check_drain_thread(state, waiting.unattended)
    if drain.error:
        remedy = "entries wait in the spool until the database is back"
        findings.append(Finding("Drain", "bad", drain.error, remedy, drain.failing_since))
    return findings


def _check_spool_folder(state: State) -> Iterable[Finding]:
    if state.spool.problem():
        remedy = f'make "{state.spool.directory}" writable, or set MELODY_LOGS_SPOOL_DIR'
        yield Finding("Spool disk", "bad", str(state.spool.problem()), remedy)
    elif obstacle := find_obstacle(state.spool.directory):
        yield Finding("Spool disk", "bad", *_split(obstacle))
    for problem in state.drain.problems():
        text, remedy = _split(problem)
        yield Finding("Spool file", "warning", text, remedy or "keep the file and report it")


def _check_drain_thread(state: State, unattended: str | None) -> Iterable[Finding]:
    """Say who empties the spool where no thread of the web process does; *unattended*: what another process noted."""
    problem = state.drain_thread.problem() or unattended
    if not state.settings.drain_in_process:
        text = "none in the web processes: the worker, or flask melody-logs drain, empties the spool"
        yield Finding("Drain thread", "good", text)
    elif problem:
        yield Finding("Drain thread", "warning", problem, THREADS_REMEDY)


def _check_tables(state: State) -> Iterable[Finding]:
    yield _look_at_tables(state)


def _look_at_tables(state: State) -> Finding:
    # Alembic is loaded with it, and only for who looks.
    from .storage import schema

    destination = state.database.destination
    shown = show_url(destination.url)
    try:
        current = schema.current_revision(state.database)
    except StorageUnavailableError as error:
        return Finding("Database", "bad", *_split(error))
    except (SQLAlchemyError, OSError) as error:
        return Finding("Database", "bad", *explain_trouble(destination, error))
    misfit = schema.find_misfit(state.database, current)
    if misfit is not None:
        return Finding("Tables", "bad", *_split(misfit))
    if destination.temporary:
        return Finding("Tables", "good", f"temporary, in {shown}")
    return Finding("Tables", "good", f"at version {current} in {shown}")


def _check_signing_key(state: State) -> Iterable[Finding]:
    """Find signing keys that the key of today does not open: no program would get a token."""
    try:
        SigningKeys(state.database, state.derive_key).check_private()
    except ConfigurationError as error:
        yield Finding("Keys", "bad", *_split(error))


def _check_worker(state: State) -> Iterable[Finding]:
    with state.database.read() as connection:
        now = state.database.now(connection)
        seen = read_heartbeats(connection)
        oldest_pending = find_oldest_pending(connection)
    for name, title in (("worker", "Worker"), ("beat", "Beat")):
        last = seen.get(name)
        if last is None:
            yield Finding(
                title, "warning", "not seen yet: without it no locations, no automatic clean-up", WORKER_REMEDY
            )
        elif now - last > WORKER_SILENT_AFTER:
            yield Finding(title, "bad", "silent", WORKER_REMEDY, last)
        else:
            yield Finding(title, "good", f"seen {(now - last).seconds} s ago")
    if oldest_pending is not None and now - oldest_pending > LOCATION_LATE_AFTER:
        remedy = "start the worker, or by hand: flask melody-logs locate"
        yield Finding("Locations", "warning", "sign-ins wait for their location", remedy, oldest_pending)


def _check_jobs(state: State) -> Iterable[Finding]:
    jobs = list_jobs(state.database, limit=20)
    newest = {job.kind: job for job in reversed(jobs)}
    for kind, job in sorted(newest.items()):
        if job.state == "failed":
            yield Finding("Clean-up", "bad", f"the last one of {kind} failed: {job.error}", "", job.finished_at)
        elif job.is_active and job.error:
            yield Finding("Clean-up", "warning", f"of {kind} does not go on: {job.error}", "", job.created_at)


def _check_gaps(state: State) -> Iterable[Finding]:
    with state.database.read() as connection:
        gaps = sum_gaps(connection)
    for gap in gaps:
        text = f"{gap.lost:,} {gap.kind} entries were lost"
        yield Finding("Gap", "warning", text, "the table melody_gap says when", gap.last_at)


def _check_geolocation(state: State) -> Iterable[Finding]:
    if not state.settings.enable_sign_in_log:
        return
    for info in state.locator.describe():
        if info.error:
            remedy = "put the file back, or correct MELODY_LOGS_GEOIP_DATABASE; sign-ins wait until then"
            yield Finding("Location data", "bad", info.error, remedy)
        elif info.age_days is not None and info.age_days > OLD_LOCATIONS_AFTER_DAYS:
            yield Finding("Location data", "warning", f"{info.name} is {info.age_days} days old", "get a newer file")
        else:
            yield Finding("Location data", "good", info.name)


def _split(sentence: object) -> tuple[str, str]:
    """Split a sentence of ours, "what is wrong: what helps", at its colon."""
    text, _, remedy = str(sentence).partition(": ")
    return text, remedy


def _now(like: datetime) -> datetime:
    return datetime.now(like.tzinfo)
