"""What every test server can do: start on a free port, stop, be killed or frozen, and come back where it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from .processes import Process, ProcessError, free_port

START_ATTEMPTS = 12
_PAUSE_SECONDS = 0.1


@contextmanager
def own_folder(name: str) -> Iterator[Path]:
    """Make a folder for a server and remove it afterwards; pytest's are closed to the user that a server runs as."""
    folder = Path(tempfile.mkdtemp(prefix=f"melody-logs-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server(ABC):
    """A server program that listens on one loopback port and keeps its data in ``folder``."""

    name: str
    stop_signal = signal.SIGTERM
    user_id: int | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._process: Process | None = None

    @abstractmethod
    def command(self, port: int) -> Sequence[str | Path]:
        """Return the command that runs the server in the foreground on the port."""

    @abstractmethod
    def answers(self, port: int) -> bool:
        """Return whether the port answers and is this server, not a stranger that had the port first."""

    @property
    def process(self) -> Process:
        """The server's process; raises ProcessError before the first start."""
        if self._process is None:
            raise ProcessError(f"{self.name} was never started")
        return self._process

    def make_data(self, command: Sequence[str | Path]) -> None:
        """Run the program that makes the server's data, as the server's user; raise ProcessError when it fails."""
        done = subprocess.run(
            command,
            user=self.user_id,
            extra_groups=None if self.user_id is None else [],
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder)},
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            name = Path(command[0]).name
            raise ProcessError(f"{name} failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")

    def start(self) -> None:
        """Start the server, on the port it had before if it ran already; raise ProcessError when it cannot."""
        for attempt in range(START_ATTEMPTS):
            port = self.port or free_port()
            self._process = Process(
                self.command(port),
                folder=self.folder,
                name=self.name,
                user_id=self.user_id,
                stop_signal=self.stop_signal,
            )
            try:
                self._process.start().wait_until(partial(self.answers, port))
            except ProcessError:
                # The port was taken meanwhile, or children of a killed server still hold the folder.
                self._process.stop()
                if attempt + 1 == START_ATTEMPTS:
                    raise
                time.sleep(_PAUSE_SECONDS * attempt)
            else:
                self.port = port
                return

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Start the server, and stop it afterwards."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        """Shut the server down, its clients cut off; the data stays."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the server as kill -9 does; `start` brings it back with what it had confirmed."""
        self.process.kill()

    def pause(self) -> None:
        """Freeze the server with its children: connections stay open and are not answered."""
        self.process.pause()

    def resume(self) -> None:
        """Let a frozen server go on."""
        self.process.resume()
