"""The Pythons of this machine that melody_logs says it runs on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

OLDEST = (3, 11)
NEWEST_TRIED = 20
#: What a Python must have for an environment: some are built without.
PROBE = "import json, sys, sqlite3, ssl, venv; print(json.dumps([*sys.version_info[:3], sys.version_info[3]]))"


class Python(NamedTuple):
    """An interpreter that was run, and its version."""

    path: Path
    version: tuple[int, ...]

    def __str__(self) -> str:
        return "python" + ".".join(map(str, self.version))


def find_pythons() -> list[Python]:
    """Find one released Python of each minor version from 3.11 on, oldest first; each has been run.

    They are looked for on the PATH, in the versions of pyenv, and where uv puts them.
    """
    found: dict[tuple[int, ...], Python] = {}
    for path in _candidates():
        version = _ask_version(path)
        if version is not None and version[:2] >= OLDEST:
            found.setdefault(version[:2], Python(path, version))
    return [found[minor] for minor in sorted(found)]


def _candidates() -> Iterator[Path]:
    yield Path(getattr(sys, "_base_executable", sys.executable))
    names = ["python3", *(f"python3.{minor}" for minor in range(OLDEST[1], NEWEST_TRIED))]
    yield from (Path(path) for path in map(shutil.which, names) if path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local/share/uv/python")
    for folder in (pyenv / "versions", uv):
        yield from sorted(folder.glob("*/bin/python3"), key=_numbers, reverse=True)


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.parent.parent.name)]


def _ask_version(path: Path) -> tuple[int, ...] | None:
    """Run an interpreter: version managers put launchers on the PATH that have nothing behind them."""
    try:
        done = subprocess.run([path, "-c", PROBE], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    *version, level = json.loads(done.stdout)
    return tuple(version) if level == "final" else None
