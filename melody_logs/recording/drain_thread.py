"""The thread that drains in a process of the host: started late, woken by appends, gone after a fork."""

from __future__ import annotations

import atexit
import os
import random
import threading
import time
import weakref

from .drain import Drain
from .forking import follow_forks
from .losses import SparseLog

LEFTOVERS_EVERY_SECONDS = 5.0
FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 15.0
EXIT_SECONDS = 2.0


class DrainThread:
    """Runs *drain* in a daemon thread of this process.

    :param interval_seconds: how long it gathers entries after the first one, unless somebody waits for them.
    :param allowed: False where no thread may run: a worker or command drains, and :meth:`wait_until` drains itself.
    """

    def __init__(self, drain: Drain, interval_seconds: float, *, allowed: bool = True) -> None:
        self._drain = drain
        self._allowed = allowed
        self._interval_seconds = interval_seconds
        self._log = SparseLog()
        self._begin()
        follow_forks(self)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._stop = threading.Event()

    def ensure_started(self) -> None:
        """Start the thread unless it runs in this process; call it with the first request or record, not before."""
        thread = self._thread
        if not self._allowed:
            return
        if thread is not None and self._pid == os.getpid() and thread.is_alive():
            return
        if self._pid != os.getpid():
            self.after_fork_in_child()
        with self._start_lock:
            if self._stop.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            if self._thread is None:
                atexit.register(_stop_at_exit, weakref.ref(self))
            thread = threading.Thread(target=self._run, name="melody_logs drain", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter is ending
                self._log.warn(f"the drain cannot start a thread: {error}; entries wait in the spool")
                return
            self._thread = thread
            self._drain.hurry = self.hurry

    def notify(self) -> None:
        """Say that an entry was appended: it is drained after the interval."""
        if not self._wake.is_set():
            self._wake.set()

    def wait_until(self, entry_number: int, timeout_seconds: float) -> bool:
        """Wait for an appended entry to be in the database: :meth:`Drain.wait_until`."""
        return self._drain.wait_until(entry_number, timeout_seconds)

    def hurry(self) -> None:
        """Drain at once, without gathering: somebody waits."""
        self._hurry.set()
        self._wake.set()

    def stop(self, timeout_seconds: float = EXIT_SECONDS) -> None:
        """Drain once more, within the time, and end the thread; what remains stays spooled for the next process."""
        thread = self._thread
        if thread is None or self._pid != os.getpid():
            return
        self._stop.set()
        self.hurry()
        if thread is not threading.current_thread():
            thread.join(timeout_seconds)
        self._drain.hurry = None
        if not thread.is_alive():
            self._drain.spool.close()

    def before_fork(self) -> None:
        """Nothing: no lock is held for long."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """The thread stayed in the parent; a new one starts with the child's first request or record."""
        self._begin()

    def _run(self) -> None:
        leftovers_at = 0.0
        failures = 0
        while True:
            adopt = time.monotonic() >= leftovers_at
            if adopt:
                leftovers_at = time.monotonic() + LEFTOVERS_EVERY_SECONDS
            is_last = self._stop.is_set()
            failures = 0 if self._pass(adopt) else failures + 1
            if is_last:
                return
            if failures:
                self._rest(failures)
                continue
            self._wake.wait(LEFTOVERS_EVERY_SECONDS)
            if self._wake.is_set():
                self._hurry.wait(self._interval_seconds)
            self._hurry.clear()
            self._wake.clear()

    def _pass(self, adopt: bool) -> bool:
        try:
            self._drain.run_once(adopt=adopt)
            return True
        except Exception as error:  # the thread must live; the reason is logged and kept for health
            reason = self._drain.state.error or error
            self._log.warn(f"the logs cannot be written: {reason}; entries wait in the spool")
            return False

    def _rest(self, failures: int) -> None:
        longest = min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2 ** min(failures - 1, 10))
        seconds = longest * random.uniform(0.5, 1.0)
        self._drain.resting_until = time.monotonic() + seconds
        self._stop.wait(seconds)


def _stop_at_exit(reference: weakref.ref[DrainThread]) -> None:
    drain_thread = reference()
    if drain_thread is not None:
        drain_thread.stop()
