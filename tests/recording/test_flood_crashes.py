"""What the flood guard counted is exact: in threads and forks, and whichever process is killed when."""

from __future__ import annotations

import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from melody_logs.recording.flood import FLOOD_ROWS_PER_SECOND
from tests.conftest import StartProcess
from tests.crashing import CRASHED
from tests.hosts import close_host
from tests.recording.flooding import WHOLE, Flood, attack, samples_of, sum_attempts
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


def test_threads_fold_exactly(sqlite_url: str, tmp_path: Path) -> None:
    flood = Flood(sqlite_url, tmp_path)

    def attack(number: int) -> int:
        for turn in range(200):
            flood.fail(ip=f"8.8.8.{number}", user_agent=f"Browser/{turn % 3}")
        return 200

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attack, range(8))) == 1600
    (counted,) = flood.counted()
    assert len(flood.rows()) == WHOLE + 1
    assert counted.folded_count == 1600 - WHOLE
    assert len(samples_of(counted)) == 5
    close_host(flood.app)


def test_forked_child_has_counted_rows_of_its_own(sqlite_url: str, tmp_path: Path) -> None:
    flood = Flood(sqlite_url, tmp_path)
    for _ in range(WHOLE + 5):
        flood.fail()
    child = os.fork()
    if child == 0:
        # Nothing of the test run may happen in here.
        try:
            for _ in range(WHOLE + 3):
                flood.fail()
            flood.state.spool.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    for _ in range(2):
        flood.fail()
    assert sum_attempts(flood.rows()) == 2 * WHOLE + 10
    assert sorted(row.folded_count for row in flood.counted()) == [3, 7]
    close_host(flood.app)


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


def test_attack_from_thousands_of_addresses_leaves_few_rows_and_the_exact_sum(
    database_url: str, tmp_path: Path
) -> None:
    """The drill F30 does the same by the clock, with ten times as many."""
    flood = Flood(database_url, tmp_path)
    with flood.app.app_context():
        done = attack(flood.state.recorder.record_sign_in, failures=20_000, addresses=5_000)
    rows = flood.rows()
    assert Counter({row.event_id: row.folded_count or 1 for row in rows if row.outcome == "failure"}) == done.failures
    successes = [row for row in rows if row.outcome == "success"]
    assert [row.event_id for row in successes] == done.successes
    assert {row.folded_count for row in successes} == {None}
    assert sum_attempts(rows) == 20_000 + len(successes)
    assert len(rows) == FLOOD_ROWS_PER_SECOND + 1 + len(successes), "the clock stands still, so it is one second"
    assert_totals_match(close_host(flood.app).database)
