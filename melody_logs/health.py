"""Is everything well, and if not, what helps: for the command, the pages and monitoring."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from flask import current_app, has_app_context
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .errors import ConfigurationError, MelodyLogsError, StorageUnavailableError
from .state import State
from .storage import schema
from .storage.job_rows import list_jobs
from .storage.locations import find_oldest_pending
from .storage.progress import read_heartbeats, sum_gaps

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
WORKER_REMEDY = (
    "name your app in MELODY_WORKER_APP and the broker in MELODY_WORKER_BROKER_URL, then start two processes: "
    "celery -A melody_logs.worker worker, and celery -A melody_logs.worker beat"
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
    with state.database.reads_within(PATIENCE_SECONDS):
        for check in (_check_tables, _check_worker, _check_jobs, _check_gaps):
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
        return [Finding(name, "bad", f"a check could not be made: {_reason(error)}", "see the server's log")]


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
        findings.append(Finding("Keys", "bad", str(error), "set SECRET_KEY or MELODY_LOGS_KEY"))
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
    text = f"{waiting.entries:,} entries wait ({waiting.bytes / 1e6:.1f} MB)" if waiting.entries else "empty"
    full = waiting.bytes > FULL_SHARE * state.settings.spool_max_megabytes * 1024 * 1024
    late = waiting.oldest_at is not None and _now(waiting.oldest_at) - waiting.oldest_at > SPOOL_LATE_AFTER
    level: Level = "bad" if late else "warning" if full else "good"
    remedy = "see the drain and the database below; by hand: flask melody-logs drain" if level != "good" else ""
    findings.append(Finding("Spool", level, text, remedy, waiting.oldest_at if late else None))
    if state.spool.problem():
        remedy = f'make "{state.spool.directory}" writable, or set MELODY_LOGS_SPOOL_DIR'
        findings.append(Finding("Spool disk", "bad", str(state.spool.problem()), remedy))
    for problem in state.drain.problems():
        findings.append(Finding("Spool file", "warning", problem, "keep the file and report it"))
    if waiting.dead_letters:
        text = f"{waiting.dead_letters:,} entries could not be written and are kept aside in the spool"
        findings.append(Finding("Dead letters", "warning", text, "read the log of the logger melody_logs"))
    if drain.error:
        remedy = "entries wait in the spool until the database is back"
        findings.append(Finding("Drain", "bad", drain.error, remedy, drain.failing_since))
    return findings


def _check_tables(state: State) -> Iterable[Finding]:
    yield _look_at_tables(state)


def _look_at_tables(state: State) -> Finding:
    shown = state.database.url.render_as_string(hide_password=True)
    try:
        current, head = schema.current_revision(state.database), schema.head_revision()
        if state.database.destination.temporary:
            return Finding("Tables", "good", f"temporary, in {shown}")
    except StorageUnavailableError as error:
        return Finding("Database", "bad", str(error), "the server cannot hold the logs as it is")
    except (SQLAlchemyError, OSError, ImportError) as error:
        return Finding(
            "Database", "bad", f"{shown} does not answer: {_reason(error)}", "start it, or check its address"
        )
    if current is None:
        return Finding("Tables", "bad", f"not there in {shown}", "run: flask melody-logs db upgrade")
    if current < head:
        text = f"at version {current}, this melody_logs needs {head}"
        return Finding("Tables", "bad", text, "run: flask melody-logs db upgrade")
    if current > head:
        text = f"at version {current}, which this melody_logs ({head}) does not know"
        return Finding("Tables", "bad", text, "install the newer melody_logs that made them")
    return Finding("Tables", "good", f"at version {current} in {shown}")


def _check_worker(state: State) -> Iterable[Finding]:
    with state.database.read() as connection:
        now = state.database.now(connection)
        seen = read_heartbeats(connection)
        oldest_pending = find_oldest_pending(connection)
    for name, title in (("worker", "Worker"), ("beat", "Beat")):
        last = seen.get(name)
        if last is None:
            yield Finding(title, "warning", "never seen: no locations, no automatic clean-up", WORKER_REMEDY)
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
        text = f"{gap.lost:,} {gap.kind} entries were lost because disk and database were both gone"
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


def _now(like: datetime) -> datetime:
    return datetime.now(like.tzinfo)


def _reason(error: BaseException) -> str:
    original = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return str(original).strip().split("\n", 1)[0] or type(original).__name__
