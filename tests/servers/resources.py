"""What a process holds, as the kernel counts it: for tests and benchmarks that say what stays flat (Linux)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple


class Resources(NamedTuple):
    """Bytes in memory, bytes of them that no other process shares, open descriptors, and threads."""

    resident_bytes: int
    unique_bytes: int
    descriptors: int
    threads: int


def read_resources(pid: int) -> Resources:
    """Read what a living process holds.

    :raise FileNotFoundError: if there is no such process, or no ``/proc``.
    """
    folder = Path(f"/proc/{pid}")
    memory = _read_numbers(folder / "smaps_rollup")
    return Resources(
        resident_bytes=memory["Rss"] * 1024,
        unique_bytes=(memory["Private_Clean"] + memory["Private_Dirty"]) * 1024,
        descriptors=len(os.listdir(folder / "fd")),
        threads=_read_numbers(folder / "status")["Threads"],
    )


def _read_numbers(path: Path) -> dict[str, int]:
    return {name: int(number) for name, number in re.findall(r"^(\w+):\s+(\d+)", path.read_text(), re.MULTILINE)}
