"""The figures behind the findings: measured once, with one connection, for whoever shows them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..recording.spool_folder import DAMAGED_SUFFIX, list_spools
from ..state import State
from ..storage.job_rows import find_last_policy_run
from ..storage.locations import count_pending, find_oldest_pending
from ..storage.progress import GapCount, find_last_drain, list_gaps, read_heartbeats, sum_gaps
from ..storage.totals import sum_rows

#: More sign-ins that wait for their location are not counted.
MOST_PENDING_COUNTED = 10_000
MOST_GAPS = 50


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of the logs; None where the spool or the database could not be read, or nothing has happened yet.

    Ages are in seconds. Moments of the database are by its own clock, as is ``database_at``, the moment of the look.
    """

    #: Of this process, by kind: lost to an error of ours, refused by failing closed, lost but not told yet.
    recording_errors: Mapping[str, int]
    refused: Mapping[str, int]
    lost_untold: Mapping[str, int]
    drain_failing_seconds: float | None

    #: Of the spools of this machine.
    spool_max_bytes: int
    spool_entries: int | None = None
    spool_bytes: int | None = None
    #: How full the fullest spool is, as a share of ``spool_max_bytes``.
    spool_share: float | None = None
    spool_oldest_age_seconds: float | None = None
    dead_letters: Mapping[str, int] | None = None
    damaged_spools: int | None = None

    #: Of the database, and so of all processes.
    database_at: datetime | None = None
    rows: Mapping[str, int] | None = None
    lost: Mapping[str, int] | None = None
    gaps: tuple[GapCount, ...] | None = None
    pending_locations: int | None = None
    pending_location_age_seconds: float | None = None
    last_drain_at: datetime | None = None
    #: When a worker last looked at the retention policies, and how the last clean-up that this ordered stands.
    last_retention_run_at: datetime | None = None
    last_retention_run_state: str | None = None
    last_worker_at: datetime | None = None
    last_beat_at: datetime | None = None


def measure_process(state: State) -> Figures:
    """Take the figures that this process has at hand."""
    failing_since = state.drain.state.failing_since
    return Figures(
        recording_errors=state.recorder.failures.totals(),
        refused=state.recorder.refused.totals(),
        lost_untold=state.spool.losses.untold(),
        drain_failing_seconds=_age(failing_since, datetime.now(UTC)),
        spool_max_bytes=state.settings.spool_max_megabytes * 1024 * 1024,
    )


def measure_spool(figures: Figures, state: State) -> tuple[Figures, str | None]:
    """Add the figures of the spools; return also what another process noted about why it drains nothing.

    :raise sqlite3.Error, OSError: if a spool of this process cannot be read.
    """
    waiting = state.spool.waiting()
    values: dict[str, Any] = {
        "spool_entries": waiting.entries,
        "spool_bytes": waiting.bytes,
        "spool_share": waiting.fullest_bytes / figures.spool_max_bytes,
        "spool_oldest_age_seconds": _age(waiting.oldest_at, datetime.now(UTC)),
        "dead_letters": waiting.dead_kinds,
        "damaged_spools": len(list_spools(state.spool.directory, DAMAGED_SUFFIX)),
    }
    return dataclasses.replace(figures, **values), waiting.unattended


def measure_database(figures: Figures, state: State) -> Figures:
    """Add the figures of the database.

    :raise SQLAlchemyError, MelodyLogsError: if it cannot be read.
    """
    with state.database.read() as connection:
        now = state.database.now(connection)
        seen = read_heartbeats(connection)
        run = find_last_policy_run(connection)
        lost = Counter({gap.kind: gap.lost for gap in sum_gaps(connection)})
        values: dict[str, Any] = {
            "database_at": now,
            "rows": sum_rows(connection),
            "lost": dict(lost),
            "gaps": tuple(list_gaps(connection, MOST_GAPS)),
            "pending_locations": count_pending(connection, at_most=MOST_PENDING_COUNTED),
            "pending_location_age_seconds": _age(find_oldest_pending(connection), now),
            "last_drain_at": find_last_drain(connection),
            "last_retention_run_at": seen.get("retention"),
            "last_retention_run_state": run and run.state,
            "last_worker_at": seen.get("worker"),
            "last_beat_at": seen.get("beat"),
        }
    return dataclasses.replace(figures, **values)


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())
