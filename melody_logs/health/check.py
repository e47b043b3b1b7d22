"""The look at everything, in an order in which a database that does not answer is asked once."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable

from sqlalchemy.exc import SQLAlchemyError

from ..errors import MelodyLogsError
from ..state import State
from ..storage.trouble import find_reason
from .database_checks import check_gaps, check_jobs, check_locations, check_signing_key, check_tables, check_worker
from .figures import Figures, measure_database, measure_process, measure_spool
from .findings import Finding, Health
from .process_checks import check_geolocation, check_pages, check_recording, check_watched_views
from .recent import claim_look, remember_health, remembered_health
from .spool_checks import check_drain, check_spool

logger = logging.getLogger("melody_logs")

#: A page shows this: a database that takes longer than this for the whole look is a finding.
PATIENCE_SECONDS = 2.0
#: With less than this left, nothing more is asked; a limit of no milliseconds would be none.
LEAST_SECONDS = 0.05


def check_health(state: State) -> Health:
    """Look at tables, spool, drain, worker, locations and clean-ups.

    Never raises: what cannot be read is a finding. A database that does not answer is asked once, for a few seconds.
    """
    figures = measure_process(state)
    findings = _guarded("Recording", lambda: check_recording(state, figures))
    figures, found = _look_at_spool(state, figures)
    findings += found
    findings += _guarded("Sign-in views", lambda: check_watched_views(state))
    findings += _guarded("Pages", lambda: check_pages(state))
    figures, found = _look_at_database(state, figures)
    findings += found
    findings += _guarded("Location data", lambda: check_geolocation(state))
    health = Health(all(finding.level != "bad" for finding in findings), tuple(findings), figures)
    remember_health(state, health)
    return health


def recent_health(state: State) -> Health | None:
    """Give what was found within the last ten seconds; look again if that is longer ago and nobody else does just now.

    None if the first look is still under way.
    """
    return check_health(state) if claim_look(state) else remembered_health(state)


def _look_at_spool(state: State, figures: Figures) -> tuple[Figures, list[Finding]]:
    try:
        figures, unattended = measure_spool(figures, state)
    except (sqlite3.Error, OSError) as error:
        return figures, [Finding("Spool", "bad", f"cannot be read: {error}", f'look at "{state.spool.directory}"')]
    findings = _guarded("Spool", lambda: check_spool(state, figures))
    findings += _guarded("Drain", lambda: check_drain(state, unattended))
    return figures, findings


def _look_at_database(state: State, figures: Figures) -> tuple[Figures, list[Finding]]:
    def measure() -> Iterable[Finding]:
        nonlocal figures
        figures = measure_database(figures, state)
        return ()

    checks: tuple[Callable[[], Iterable[Finding]], ...] = (
        lambda: check_tables(state),
        measure,
        lambda: check_signing_key(state),
        lambda: check_worker(figures),
        lambda: check_locations(figures),
        lambda: check_jobs(state),
        lambda: check_gaps(figures),
    )
    findings: list[Finding] = []
    end = time.monotonic() + PATIENCE_SECONDS
    for check in checks:
        seconds_left = end - time.monotonic()
        if seconds_left < LEAST_SECONDS:
            text = f"answers slowly: not all could be looked at within {PATIENCE_SECONDS:g} seconds"
            findings.append(Finding("Database", "bad", text, "see what else the server is doing"))
            break
        with state.database.reads_within(seconds_left):
            found = _guarded("Database", check)
        findings += found
        if any(finding.level == "bad" and finding.name in ("Database", "Tables") for finding in found):
            break
    return figures, findings


def _guarded(name: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except Exception as error:
        if not isinstance(error, SQLAlchemyError | MelodyLogsError | OSError):
            logger.exception("a check of the health of melody_logs could not be made")
        return [Finding(name, "bad", f"a check could not be made: {find_reason(error)}", "see the server's log")]
