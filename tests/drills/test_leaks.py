"""Memory, descriptors and threads while a host records very often."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import StartProcess
from tests.drills.leaking import WAYS
from tests.drills.reporting import Drill
from tests.worker.conftest import ROOT

MOST_MEMORY_MIB = 5.0
#: One block kept for each hundred records would be as many; caches vary by some hundreds.
MOST_BLOCKS = 2_000


@pytest.mark.fault("F32")
def test_short_run_opens_and_starts_nothing_more(start_process: StartProcess, tmp_path: Path, drill: Drill) -> None:
    drill_leaks(start_process, tmp_path, drill, records=2_500)


@pytest.mark.drills
@pytest.mark.fault("F32")
@pytest.mark.timeout(1_200)
def test_two_hundred_thousand_records_leave_no_trace(start_process: StartProcess, tmp_path: Path, drill: Drill) -> None:
    drill_leaks(start_process, tmp_path, drill, records=200_000)


def drill_leaks(start_process: StartProcess, folder: Path, drill: Drill, *, records: int) -> None:
    """Record by every way, each in a process of its own beside the others."""
    # Who records directly waits for the database each time: less often, the drill ends in minutes.
    counts = {way: records // 5 if way == "direct" else records for way in WAYS}
    processes = {}
    for way, count in counts.items():
        own = folder / way
        own.mkdir()
        command = [sys.executable, "-m", "tests.drills.leaking", str(own), way, str(count)]
        processes[way] = start_process(command, name=f"leaking-{way}", environment={"PYTHONPATH": str(ROOT)})
    for way, process in processes.items():
        assert process.wait(timeout_seconds=1_100) == 0, process.output
        found = json.loads(process.output.splitlines()[-1])
        change = {name: found["after"][name] - found["before"][name] for name in found["before"]}
        grown = change["memory"] / 1024
        # A short run has not met all that is loaded and cached once.
        if drill.is_long:
            drill.expect(
                f"{way}: memory after {counts[way]:,} records",
                expected=f"± {MOST_MEMORY_MIB:g} MiB",
                measured=f"{grown:+.1f} MiB",
                held=abs(grown) <= MOST_MEMORY_MIB,
            )
            drill.expect(
                f"{way}: blocks that Python holds",
                expected=f"± {MOST_BLOCKS:,}",
                measured=f"{change['blocks']:+,}",
                held=abs(change["blocks"]) <= MOST_BLOCKS,
            )
        for what in ("descriptors", "threads"):
            drill.expect(
                f"{way}: {what} after {counts[way]:,} records",
                expected="± 0",
                measured=f"{change[what]:+d}",
                held=change[what] == 0,
            )
        assert found["failures"] == 0
        assert found["rows"] >= counts[way]
