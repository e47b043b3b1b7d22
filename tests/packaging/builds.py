"""Builds what is published, from a copy of the checkout, and installs it into environments of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.test_project import GENERATED

ROOT = Path(__file__).parent.parent.parent
FOLDER = Path(__file__).parent
BUILD_SDIST = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"


def copy_checkout(target: Path) -> Path:
    """Copy what a fresh clone holds: a build in the checkout would leave folders there and use their old files."""
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*GENERATED, "*.egg-info"))
    return target


def build_wheel(source: Path, target: Path) -> Path:
    """Build the wheel of a source folder, or of a source distribution, by the tools that are installed."""
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(target)]
    run([sys.executable, "-m", "pip", "wheel", *options, str(source)])
    (built,) = target.glob("melody_logs-*.whl")
    return built


def build_sdist(source: Path, target: Path) -> Path:
    """Build the source distribution of a source folder."""
    target.mkdir()
    run([sys.executable, "-c", BUILD_SDIST, str(target)], folder=source)
    (built,) = target.glob("melody_logs-*.tar.gz")
    return built


def make_environment(folder: Path, wheel: Path | None = None) -> Path:
    """Make an environment with the locked packages and *wheel*, without this checkout; return its Python."""
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    python = folder / "bin" / "python"
    if wheel is not None:
        # Before the locked packages are in sight: pip would remove the editable install that is among them.
        run([sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)])
    (packages,) = folder.glob("lib/python*/site-packages")
    # A plain path: Python does not follow the path files in there, one of which leads to the checkout.
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def smoke(python: Path, folder: Path, *, worker: str = "melody_logs.worker", path: str = "") -> dict[str, Any]:
    """Run the smoke test by *python* in a new *folder*, and return what it found."""
    folder.mkdir()
    for name in ("smoke.py", "smoke_host.py"):
        shutil.copy(FOLDER / name, folder)
    printed = run([str(python), "smoke.py", worker], folder=folder, environment={"PYTHONPATH": path})
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def run(command: Sequence[str], *, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it prints; fail with its output when it does."""
    settings = {**os.environ, **(environment or {})}
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-6000:]}{done.stderr[-6000:]}"
    return done.stdout
