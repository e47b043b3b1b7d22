"""Processes with their children: a pool is killed whole, or its children would finish what they were at."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.servers.processes import Process, wait_until


def kill_family(process: Process) -> None:
    """Kill -9 a process and its descendants, and return when none of them runs."""
    family = list_family(process.pid)
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    wait_until(lambda: not any(_runs(pid) for pid in family), what="the end of the family")


def list_family(pid: int) -> list[int]:
    """List a process and its descendants, the oldest first (on Linux)."""
    found = [pid]
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in task.read_text().split():
                found += list_family(int(child))
    return found


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
