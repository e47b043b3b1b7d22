"""What the flood guard counted is exact, whichever process is killed when, and however many come at once."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import StartProcess
from tests.crashing import CRASHED
from tests.hosts import close_host
from tests.recording.flooding import WHOLE, Flood, sum_attempts
from tests.storage.rows import assert_totals_match

ROOT = str(Path(__file__).parents[2])
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))}


def child(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"tests.recording.spool_children.{name}", *map(str, arguments)]


def test_kill_9_in_a_flood_loses_and_doubles_no_attempt(
    tmp_path: Path, database_url: str, start_process: StartProcess
) -> None:
    """Each process may die between the append and the acknowledgement of one attempt, no more."""
    kills = 20
    flood = Flood(database_url, tmp_path)
    process = start_process(child("killed_flood", tmp_path, database_url, kills), environment=ENVIRONMENT)
    assert process.wait(timeout_seconds=90) == 0, process.output
    acked = Counter((tmp_path / "acked").read_text().splitlines())
    rows = flood.rows()
    stored = Counter({f"{row.outcome} {row.event_id}": row.folded_count or 1 for row in rows})
    assert acked.total() > kills * 20
    assert len(rows) == len(stored), "an event has one row"
    assert acked - stored == Counter(), "every acknowledged attempt is in its row"
    assert (stored - acked).total() <= kills
    assert {row.folded_count for row in rows if row.outcome == "success"} == {None}
    assert any(row.marks == "flood:total" for row in rows)
    assert_totals_match(close_host(flood.app).database)


@pytest.mark.parametrize("where", ["advance_progress 2", "write_rows 2", "Drain._announce", "SpoolFile.delete_drained"])
def test_crash_of_the_drain_between_batches_counts_nothing_twice(
    tmp_path: Path, sqlite_url: str, start_process: StartProcess, where: str
) -> None:
    """The row of many has been written with a part of them, or all of a batch but its deletion."""
    flood = Flood(sqlite_url, tmp_path)
    for _ in range(WHOLE + 2500):
        flood.fail()
    folder = flood.state.spool.directory
    flood.state.spool.close()
    crash = start_process(child("crashing_drain", folder, sqlite_url, *where.split()), environment=ENVIRONMENT)
    assert crash.wait(timeout_seconds=60) == CRASHED, crash.output
    rows = flood.rows()
    assert [row.folded_count for row in rows] == [*[None] * WHOLE, 2500]
    assert_totals_match(close_host(flood.app).database)


def test_attack_from_thousands_of_addresses_leaves_few_rows_and_the_exact_sum(sqlite_url: str, tmp_path: Path) -> None:
    """A tenth of 200,000 failures from 5,000 addresses in a minute, with people who sign in meanwhile."""
    flood = Flood(sqlite_url, tmp_path)
    failures, successes = 20_000, 0
    for number in range(failures):
        flood.fail(identity=f"user{number % 97}@example.org", ip=f"8.{number % 20}.{number % 250}.8")
        if number % 50 == 0:
            flood.fail(success=True, reason=None, user_id=number)
            successes += 1
        if number % 4000 == 3999:
            flood.clock.now += 1
    rows = flood.rows()
    assert sum_attempts([row for row in rows if row.outcome == "failure"]) == failures
    assert sum(row.outcome == "success" and row.folded_count is None for row in rows) == successes
    assert len(rows) - successes <= 5 * 500 + 1
    assert_totals_match(close_host(flood.app).database)
