"""A host on a file system that cannot be written: with a folder for the spool, and without one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import StartProcess
from tests.guest.serving import APP, ROOT, Served
from tests.servers.availability import missing
from tests.servers.processes import free_port
from tests.storage.rows import make_database

StartReadOnly = Callable[..., Served]
WAITRESS = [sys.executable, "-m", "waitress", "--threads", "4"]
#: In a view of the file system of its own: everything read-only but the folders that are given.
ENTER = """
mount --make-rprivate /
for folder in $WRITABLE; do mount --bind "$folder" "$folder"; done
awk '{print $5}' /proc/self/mountinfo | sort -u | while read -r place; do
    case " $WRITABLE " in *" $place "*) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null ;; esac
done
exec "$@"
"""


@pytest.fixture
def start_read_only(start_process: StartProcess, tmp_path: Path, postgresql_url: str) -> StartReadOnly:
    """A function that starts the host where only the given folders can be written, as root by a mount namespace."""
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode
    ):
        missing("a mount namespace", "Run the tests as root, where 'unshare --mount' is allowed.")

    def start(*writable: Path, **environment: str) -> Served:
        port = free_port()
        program = [*WAITRESS, "--listen", f"127.0.0.1:{port}", "--call", APP.removesuffix("()")]
        process = start_process(
            ["unshare", "--mount", "sh", "-c", ENTER, "sh", *program],
            name="server",
            environment={
                "PYTHONPATH": str(ROOT),
                "WRITABLE": " ".join(map(str, writable)),
                "TEST_HOST_FOLDER": str(tmp_path),
                "TEST_HOST_DATABASE_URL": postgresql_url,
                **environment,
            },
        )
        served = Served(process, f"http://127.0.0.1:{port}", make_database(postgresql_url))
        process.wait_until(served.answers)
        assert not can_write(process.pid, tmp_path), "the test would prove nothing"
        return served

    return start


def can_write(pid: int, folder: Path) -> bool:
    """Say whether a file can be made in *folder* as the process sees it."""
    probe = ["nsenter", "--target", str(pid), "--mount", "touch", str(folder / "probe")]
    return subprocess.run(probe, capture_output=True).returncode == 0


def test_small_folder_for_the_spool_is_enough(start_read_only: StartReadOnly, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o700)
    served = start_read_only(spool, TEST_HOST_SPOOL=str(spool))
    served.sign_in(range(10))
    served.wait_for(range(10))
    (facts,) = served.ask_facts(1)
    assert [Path(path).parent for path in facts["spools"]] == [spool]
    assert "Spool disk" not in served.ask_findings()


def test_without_any_folder_entries_wait_in_memory_and_health_says_so(
    start_read_only: StartReadOnly, tmp_path: Path
) -> None:
    served = start_read_only()
    served.sign_in(range(10))
    served.wait_for(range(10))
    assert served.ask_facts(1)[0]["spools"] == []
    finding = served.ask_findings()["Spool disk"]
    assert finding["level"] == "bad"
    assert "Read-only file system" in finding["text"] and "wait in memory" in finding["text"]
    assert "MELODY_LOGS_SPOOL_DIR" in finding["remedy"]
    assert not (tmp_path / "melody_logs").exists()
