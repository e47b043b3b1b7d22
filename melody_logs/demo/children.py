"""The child processes of the demo: started with a lifeline, started again when they die, ended with their group."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .lifeline import LIFELINE_VARIABLE

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 15.0
#: A child that lived this long was well: its next end is not counted as a repeated one.
STEADY_SECONDS = 20.0


@dataclass
class Child:
    """One child process with its command, environment, log file and the descriptors it inherits."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    inherited: Sequence[int] = ()
    _process: subprocess.Popen[bytes] | None = None
    _lifeline: int | None = None
    _started_at: float = 0.0
    _pause_seconds: float = SHORTEST_PAUSE_SECONDS
    _due_at: float = field(default=0.0)

    @property
    def log_path(self) -> Path:
        """Where its output goes."""
        return self.folder / "logs" / f"{self.name}.log"

    def keep_alive(self) -> None:
        """Start the child if it does not run and its pause is over; call it often."""
        now = time.monotonic()
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._bury()
            if now - self._started_at > STEADY_SECONDS:
                self._pause_seconds = SHORTEST_PAUSE_SECONDS
            self._due_at = now + self._pause_seconds
            self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        if now >= self._due_at:
            self._start()

    def ask_to_stop(self) -> None:
        """Ask the child to stop, without waiting for it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait for the child until *deadline* (of the monotonic clock), then kill it and what it started."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        self._bury()

    def _start(self) -> None:
        reader, self._lifeline = os.pipe()
        options: dict[str, Any] = {"pass_fds": (reader, *self.inherited), "start_new_session": True}
        environment = {**os.environ, **self.environment, LIFELINE_VARIABLE: str(reader)}
        try:
            with self.log_path.open("ab") as output:
                self._process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # Not the data folder: the spool's folder melody_logs/ in it would be taken for the package.
                    cwd=self.log_path.parent,
                    env=environment,
                    **options,
                )
        finally:
            os.close(reader)
        self._started_at = time.monotonic()

    def _bury(self) -> None:
        """Kill what is left of the child's group and forget it."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
