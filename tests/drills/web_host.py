"""The host of the drills under gunicorn, with what else belongs to it: clients, a drain by command, worker and beat."""

from __future__ import annotations

import http.client
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import StartProcess
from tests.servers.processes import Process, free_port, wait_until

ROOT = Path(__file__).parent.parent.parent
APP = "tests.drills.host_app:create_app"
SYNC = ("--workers", "3")
GTHREAD = ("--workers", "2", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "5")


@dataclass
class WebHost:
    """The processes of one host; its logs lie in *database_url*."""

    start_process: StartProcess
    folder: Path
    database_url: str
    options: Sequence[str] = SYNC
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    notes: list[Path] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What the host's processes are told."""
        return {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "HOME": str(self.folder),  # for gunicorn's control socket
            "TEST_HOST_FOLDER": str(self.folder),
            "FLASK_MELODY_LOGS_DATABASE_URI": self.database_url,
            "MELODY_WORKER_APP": APP,
            "MELODY_WORKER_DATA_DIR": str(self.folder / "queue"),
            **{f"FLASK_MELODY_LOGS_{name}": value for name, value in self.settings.items()},
        }

    def start(self) -> Process:
        """Start the web server and wait for its first answer."""
        bind = ["--bind", f"127.0.0.1:{self.port}", "--graceful-timeout", "5"]
        command = [sys.executable, "-m", "gunicorn", *self.options, *bind, f"{APP}()"]
        web = self.start_process(command, name="web", environment=self.environment)
        web.wait_until(self.answers, what="answering")
        return web

    def start_again(self, web: Process) -> None:
        """Start a killed web server on the port it had."""
        wait_until(lambda: not self.answers(), what="the port being free")
        web.start()
        web.wait_until(self.answers, what="answering again")

    def start_client(self, name: str, seed: int, *options: str) -> Process:
        """Start a client that notes what it is answered."""
        self.notes.append(self.folder / f"{name}.notes")
        self.notes[-1].touch()
        command = [sys.executable, "-m", "tests.drills.history_client", self.port, name, seed, self.notes[-1], *options]
        return self.start_process([str(part) for part in command], name=name, environment=self.environment)

    def start_drain(self, number: int) -> Process:
        """Start the command that drains, also the spools of the living."""
        command = [sys.executable, "-m", "flask", "--app", APP, "melody-logs", "drain"]
        return self.start_process(command, name=f"drain-{number}", environment=self.environment)

    def start_celery(self, *arguments: str) -> Process:
        """Start the Celery worker, or beat."""
        command = [sys.executable, "-m", "celery", "-A", "melody_logs.worker", *arguments]
        return self.start_process(command, name=arguments[0], environment=self.environment)

    def answers(self) -> bool:
        """Say whether the server takes requests."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/alive")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def children_of(pid: int) -> list[int]:
    """List the child processes of a process (on Linux)."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def kill_at_once(pid: int) -> None:
    """End a process as kill -9 does; it may have ended already."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
