"""A flood of failed sign-ins: bounded rows, the exact sum, every success in sight, and a host that does not wait."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from melody_logs.recording.flood import FLOOD_ROWS_PER_SECOND
from tests.conftest import StartProcess
from tests.drills.flooder import CALM_CALLS
from tests.drills.reporting import Drill
from tests.hosts import close_host, make_host
from tests.storage.rows import assert_totals_match, make_database, read_all
from tests.worker.conftest import ROOT

PROCESSES = 2
#: Twice what a healthy host's p50 and p99 may be.
MOST_MEDIAN_MILLISECONDS, MOST_P99_MILLISECONDS = 2.0, 10.0


@pytest.mark.fault("F30")
def test_short_flood_is_counted_exactly(
    postgresql_url: str, start_process: StartProcess, tmp_path: Path, drill: Drill
) -> None:
    drill_flood(postgresql_url, start_process, tmp_path, drill, failures=10_000, addresses=500, seconds=3)


@pytest.mark.drills
@pytest.mark.fault("F30")
def test_flood_of_two_hundred_thousand_is_counted_exactly(
    postgresql_url: str, start_process: StartProcess, tmp_path: Path, drill: Drill
) -> None:
    drill_flood(postgresql_url, start_process, tmp_path, drill, failures=200_000, addresses=5_000, seconds=60)


def drill_flood(
    url: str, start_process: StartProcess, folder: Path, drill: Drill, *, failures: int, addresses: int, seconds: int
) -> None:
    """Let several processes of a host be attacked at once, each by its part."""
    make_database(url).close()
    part = [str(failures // PROCESSES), str(addresses), str(seconds)]
    command = [sys.executable, "-m", "tests.drills.flooder", str(folder), url]
    processes = [
        start_process(
            [*command, str(drill.seed + number), *part], name=f"flooder-{number}", environment={"PYTHONPATH": str(ROOT)}
        )
        for number in range(PROCESSES)
    ]
    reports = []
    for process in processes:
        assert process.wait(timeout_seconds=seconds + 100) == 0, process.output
        reports.append(json.loads(process.output.splitlines()[-1]))
    rows = drain_and_read(url, folder)
    note_counts(drill, rows, reports, failures)
    note_times(drill, reports)


def drain_and_read(url: str, folder: Path) -> list[Any]:
    """Drain what the processes left, and read the log."""
    app, _ = make_host(url, tmp_path=folder)
    state = close_host(app)
    state.drain.run_once()
    rows = read_all(state.database, "sign-in")
    assert_totals_match(state.database)
    state.database.close()
    return rows


def note_counts(drill: Drill, rows: list[Any], reports: list[Any], failures: int) -> None:
    """Compare what the log says with what the processes counted."""
    failed = [row for row in rows if row.outcome == "failure"]
    counted = sum(row.folded_count or 1 for row in failed)
    # The seconds that an attack begins and ends in are not whole; a total row for each minute that it touches.
    most = sum(
        (int(report["seconds"]) + 2) * FLOOD_ROWS_PER_SECOND + int(report["seconds"] / 60) + 2 for report in reports
    )
    lost = sum(report["lost"] + report["unrecorded"] for report in reports)
    wanted = {event_id for report in reports for event_id in report["successes"]}
    succeeded = {row.event_id for row in rows if row.outcome == "success" and row.identity.startswith("user")}
    calm = sum(row.outcome == "success" for row in rows) - len(succeeded)
    drill.expect("attempts counted", expected=f"{failures:,}", measured=f"{counted:,}", held=counted == failures)
    drill.expect("rows of failures", expected=f"≤ {most:,}", measured=f"{len(failed):,}", held=len(failed) <= most)
    drill.expect("entries lost", expected=0, measured=lost, held=lost == 0)
    drill.expect("successes whole", expected=len(wanted), measured=len(succeeded), held=wanted == succeeded)
    assert None not in wanted
    assert calm == PROCESSES * CALM_CALLS


def note_times(drill: Drill, reports: list[Any]) -> None:
    """Say what the calls of the host took; only the long form has the machine to itself and holds it to a bound."""
    middle, calm, worst = (max(report[name] for report in reports) for name in ("median", "calm", "p99"))
    for what, measured, most in (
        (f"median of a call in the flood (calm: {calm:.2f} ms)", middle, MOST_MEDIAN_MILLISECONDS),
        ("p99 of a call in the flood", worst, MOST_P99_MILLISECONDS),
    ):
        expected = f"≤ {most:g} ms" if drill.is_long else "told only"
        drill.expect(what, expected=expected, measured=f"{measured:.2f} ms", held=measured <= most or not drill.is_long)
