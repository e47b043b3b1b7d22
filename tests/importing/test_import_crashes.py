"""An import that is killed, or runs twice at once, loses and doubles nothing."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from melody_logs.jobs.import_melody import plan_import, run_import
from melody_logs.recording.imported import text_limits
from melody_logs.recording.seams import Seams
from melody_logs.state import state_of
from melody_logs.storage.melody_auth import MelodyAuthDatabase
from melody_logs.storage.queries import count_rows
from tests.conftest import StartProcess
from tests.crashing import CRASHED
from tests.importing.conftest import Host
from tests.importing.sources import Source, many
from tests.servers.processes import wait_until
from tests.storage.rows import assert_totals_match

ROOT = str(Path(__file__).parents[2])
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))}


def wait_for_more(host: Host, count: int) -> None:
    wait_until(lambda: count_rows(host.database, "sign-in") > count, timeout_seconds=60, what="going on")


def assert_each_once(host: Host, count: int) -> None:
    rows = host.rows("sign-in")
    assert len(rows) == len({row.event_id for row in rows}) == count
    # The source's order, whoever wrote which batch.
    assert [row.recorded_at for row in rows] == sorted(row.recorded_at for row in rows)
    assert len({row.position for row in rows}) == count
    assert_totals_match(host.database)


def test_kill_9_of_the_command_loses_and_doubles_nothing(
    source: Source, host: Host, database_url: str, tmp_path: Path, start_process: StartProcess
) -> None:
    """Killed at a new moment each time, as soon as it has gone on."""
    total, kills = 12_000, 3
    source.insert("sign_in_log", many(total))
    command = [sys.executable, "-m", "flask", "--app", "tests.importing.host_app", "melody-logs", "import", "melody"]
    environment = ENVIRONMENT | {
        "HOST_FOLDER": str(tmp_path),
        "HOST_DATABASE_URL": database_url,
        "MELODY_IMPORT_DATABASE_URL": source.url,
    }
    before = 0
    for number in range(kills):
        process = start_process(command, name=f"import-{number}", environment=environment)
        wait_for_more(host, before)
        time.sleep(number * 0.037)
        process.send(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, process.output
        before = count_rows(host.database, "sign-in")
        assert before < total, "it was killed too late to prove anything"
    process = start_process(command, name="import-last", environment=environment)
    assert process.wait(timeout_seconds=100) == 0, process.output
    assert f"{total - before:,}" in process.output, "it went on where it was, and did not start anew"
    assert_each_once(host, total)


@pytest.mark.parametrize(
    ("where", "call"),
    [
        ("plan_import", 1),
        ("MelodyAuthDatabase.read_batch", 2),
        ("move_import_mark", 2),
        ("find_known_events", 2),
        ("write_rows", 2),
        ("insert_rows", 2),
        ("TotalsChange.apply", 2),
        ("ImportReceipt.add_set_aside", 1),
        ("ImportReceipt.add_set_aside", 2),
    ],
)
def test_crash_in_any_phase_loses_and_doubles_nothing(
    where: str, call: int, sqlite_source: Source, host: Host, database_url: str, start_process: StartProcess
) -> None:
    sqlite_source.insert("sign_in_log", many(2_300))
    command = [sys.executable, "-m", "tests.importing.crashing_import"]
    process = start_process([*command, database_url, sqlite_source.url, where, str(call)], environment=ENVIRONMENT)
    assert process.wait(timeout_seconds=60) == CRASHED, process.output
    host.import_from(sqlite_source)
    assert_each_once(host, 2_300)


def test_two_imports_at_once_double_nothing(source: Source, host: Host) -> None:
    source.insert("sign_in_log", many(3_000))
    settings = state_of(host.app).settings

    def import_all() -> int:
        other = MelodyAuthDatabase(source.url, text_limits=text_limits(settings))
        other.check(["sign-in"])
        try:
            return run_import(
                host.database, other, plan_import(host.database, other, "sign-in"), settings, Seams()
            ).imported
        finally:
            other.close()

    with ThreadPoolExecutor(2) as pool:
        imported = [each.result() for each in [pool.submit(import_all) for _ in range(2)]]
    assert sum(imported) == 3_000
    assert_each_once(host, 3_000)
    assert import_all() == 0
