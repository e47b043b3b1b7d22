"""A host with a strict type checker sees our types, from the installed wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HOST = Path(__file__).with_name("typed_host.py")


def check_types(python: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Check every file of *folder* against what is installed for *python*."""
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), "--cache-dir=/dev/null"]
    return subprocess.run([*command, "."], cwd=folder, capture_output=True, text=True, timeout=110)


def test_host_that_uses_every_public_name_is_well_typed(installed_python: Path, tmp_path: Path) -> None:
    shutil.copy(HOST, tmp_path / "host.py")
    done = check_types(installed_python, tmp_path)
    assert (done.returncode, done.stdout) == (0, "Success: no issues found in 1 source file\n"), done.stderr


def test_wrong_use_is_found(installed_python: Path, tmp_path: Path) -> None:
    """Else the first test would pass without any types."""
    (tmp_path / "host.py").write_text(
        "from melody_logs import MelodyLogs\nMelodyLogs().record_sign_in(success='yes')\n"
    )
    assert '"success" to "record_sign_in"' in check_types(installed_python, tmp_path).stdout
