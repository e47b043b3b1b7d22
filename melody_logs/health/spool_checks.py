"""Do entries go to the disk, and from there to the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from ..recording.spool_folder import find_obstacle
from ..state import State
from .figures import Figures
from .findings import Finding, Level, split

SPOOL_LATE_AFTER = timedelta(minutes=1)
FULL_SHARE = 0.75
THREADS_REMEDY = (
    "let the web server start threads (uWSGI: --enable-threads); or set MELODY_LOGS_DRAIN_IN_PROCESS to False and run "
    "the worker, or flask melody-logs drain by cron"
)


def check_spool(state: State, figures: Figures) -> Iterable[Finding]:
    """Say what waits on the disk, for how long, and what is kept aside."""
    entries, age = figures.spool_entries or 0, timedelta(seconds=figures.spool_oldest_age_seconds or 0)
    wait = "entry waits" if entries == 1 else "entries wait"
    text = f"{entries:,} {wait} ({(figures.spool_bytes or 0) / 1e6:.1f} MB)" if entries else "empty"
    late = age > SPOOL_LATE_AFTER
    level: Level = "bad" if late else "warning" if (figures.spool_share or 0) > FULL_SHARE else "good"
    remedy = "by hand: flask melody-logs drain" if level != "good" else ""
    yield Finding("Spool", level, text, remedy, datetime.now(UTC) - age if late else None)
    yield from _check_folder(state)
    if figures.dead_letters:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(figures.dead_letters.items()))
        text = f"{sum(figures.dead_letters.values()):,} entries could not be written and are kept aside ({kinds})"
        yield Finding("Dead letters", "warning", text, "read the log of the logger melody_logs")


def check_drain(state: State, unattended: str | None) -> Iterable[Finding]:
    """Say who empties the spool, and whether that works; *unattended* is what another process noted about it."""
    yield from _check_thread(state, unattended)
    drain = state.drain.state
    if drain.error:
        remedy = "entries wait in the spool until the database is back"
        yield Finding("Drain", "bad", drain.error, remedy, drain.failing_since)


def _check_folder(state: State) -> Iterable[Finding]:
    obstacle = find_obstacle(state.spool.directory)
    if trouble := state.spool.problem() or obstacle:
        yield Finding("Spool disk", "bad", *split(trouble))
    for problem in state.drain.problems():
        if problem == obstacle:
            continue  # the drain met the same folder
        text, remedy = split(problem)
        yield Finding("Spool file", "warning", text, remedy or "keep the file and report it")


def _check_thread(state: State, unattended: str | None) -> Iterable[Finding]:
    """Say who empties the spool where no thread of the web process does; *unattended*: what another process noted."""
    problem = state.drain_thread.problem() or unattended
    if not state.settings.drain_in_process:
        text = "none in the web processes: the worker, or flask melody-logs drain, empties the spool"
        yield Finding("Drain thread", "good", text)
    elif problem:
        yield Finding("Drain thread", "warning", problem, THREADS_REMEDY)
