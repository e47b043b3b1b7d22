"""Child processes of the tests: started with their output in a file, awaited with a deadline, ended by process id."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

POLL_SECONDS = 0.02
#: What comes at once on an idle machine may take long on a busy one; who waits is told as soon as it is there.
PATIENCE_SECONDS = 60.0
OUTPUT_TAIL_CHARACTERS = 4000
PR_SET_PDEATHSIG = 1  # prctl(2): the signal a child gets when its parent ends


class ProcessError(AssertionError):
    """A child process ended too early or was not ready in time; the message holds the end of its output."""


def free_port() -> int:
    """Return a TCP port of the loopback address that the operating system just had free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(
    ready: Callable[[], object], *, timeout_seconds: float = PATIENCE_SECONDS, what: str = "the condition"
) -> None:
    """Return as soon as ``ready()`` is true; raise AssertionError naming ``what`` after ``timeout_seconds``."""
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout_seconds} seconds")
        time.sleep(POLL_SECONDS)


class Process:
    """A child process whose output lies in ``folder/NAME.log`` and that never outlives the tests.

    It gets ``stop_signal`` from the kernel when the test process dies, even by kill -9 (Linux only).
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path,
        name: str = "process",
        environment: Mapping[str, str] | None = None,
        user_id: int | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command = [str(part) for part in command]
        self.folder = folder
        self.name = name
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self.user_id = user_id
        self.stop_signal = stop_signal
        self.output_path = folder / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        """Start the child, or start it again after it ended; the output file goes on."""
        if self.running:
            raise ProcessError(f"{self.name} runs already, as process {self.pid}")
        with self.output_path.open("ab") as output:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environment,
                user=self.user_id,
                extra_groups=None if self.user_id is None else [],
                preexec_fn=_end_with_parent(self.stop_signal),
            )
        return self

    @property
    def pid(self) -> int:
        """The process id of the child that was started last."""
        if self._child is None:
            raise ProcessError(f"{self.name} was never started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the child was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or before its start."""
        return None if self._child is None else self._child.poll()

    @property
    def output(self) -> str:
        """What the child has written so far, standard output and standard error together."""
        return self.output_path.read_text(errors="replace") if self.output_path.exists() else ""

    def wait_until(
        self, ready: Callable[[], object], *, timeout_seconds: float = PATIENCE_SECONDS, what: str = "ready"
    ) -> None:
        """Return when ``ready()`` is true; raise ProcessError when the child ends first or the time is over."""
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            if not self.running:
                raise self._error(f"ended with exit code {self.exit_code} before it was {what}")
            if time.monotonic() > deadline:
                raise self._error(f"was not {what} within {timeout_seconds} seconds")
            time.sleep(POLL_SECONDS)

    def wait_for_output(self, text: str, *, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Return when the child has written ``text``; raise ProcessError as `wait_until` does."""
        self.wait_until(lambda: text in self.output, timeout_seconds=timeout_seconds, what=f"writing {text!r}")

    def wait(self, *, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Return the exit code once the child has ended by itself; raise ProcessError after the time."""
        assert self._child is not None, f"{self.name} was never started"
        try:
            return self._child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise self._error(f"did not end within {timeout_seconds} seconds") from None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the child, if it still runs."""
        if self._child is not None and self.running:
            self._child.send_signal(number)

    def stop(self, *, timeout_seconds: float = 10) -> None:
        """End the child with its stop signal, then with SIGKILL after ``timeout_seconds``; harmless when it is gone."""
        if self._child is None or not self.running:
            return
        self.resume()
        self.send(self.stop_signal)
        try:
            self._child.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the child at once, as kill -9 does."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def pause(self) -> None:
        """Freeze the child and all its descendants: connections stay open, nobody answers."""
        _signal_family(self.pid, signal.SIGSTOP)
        # The signal reaches one thread after another, and a thread that still runs may answer.
        wait_until(lambda: _is_frozen(self.pid), what=f"{self.name} being frozen")

    def resume(self) -> None:
        """Let a frozen child and its descendants go on."""
        _signal_family(self.pid, signal.SIGCONT)

    def __enter__(self) -> Process:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _error(self, what: str) -> ProcessError:
        tail = self.output[-OUTPUT_TAIL_CHARACTERS:].rstrip() or "(nothing)"
        return ProcessError(f"{self.name} {what}. Command: {' '.join(self.command)}\nEnd of its output:\n{tail}")


def _end_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Return what the child must run before its program, so that the kernel signals it when the parent dies."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)  # loaded before the fork: loading in the child could meet a lock held by a thread

    def ask_kernel() -> None:
        library.prctl(PR_SET_PDEATHSIG, int(number))

    return ask_kernel


def _is_frozen(pid: int) -> bool:
    """Return whether every thread of a process is stopped (always true where there is no /proc)."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return all("State:\tT" in path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status"))
    return True


def _signal_family(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and its descendants (only to itself where there is no /proc)."""
    # Any of them may end between being listed and being reached: then there is nothing left to signal.
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in task.read_text().split():
                _signal_family(int(child), number)
