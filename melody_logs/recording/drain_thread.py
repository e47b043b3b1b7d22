"""The thread that drains in a process of the host: started late, woken by appends, gone after a fork."""

from __future__ import annotations

import atexit
import random
import sqlite3
import sys
import threading
import time
import weakref
from contextlib import suppress

from .drain import Drain, DrainState
from .flag import Flag
from .forking import follow_forks, notice_fork
from .losses import SparseLog
from .spool import Spool
from .spool_file import SpoolFile

LEFTOVERS_EVERY_SECONDS = 5.0
FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 15.0
EXIT_SECONDS = 2.0
TRY_AGAIN_SECONDS = 15.0


class DrainThread:
    """Runs *drain* in a daemon thread of this process; the thread ends with this object, and so with its app.

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
        self._thread: threading.Thread | None = None
        self._start_lock = threading.RLock()
        self._is_starting = False
        self._wake = Flag()
        self._hurry = Flag()
        self._stop = Flag()
        self._problem: str | None = None
        self._try_again_at = 0.0
        self._told: SpoolFile | None = None

    def problem(self) -> str | None:
        """Say why no thread drains in this process, although one should; None if one can."""
        return self._problem

    def ensure_started(self) -> None:
        """Start the thread unless it runs in this process; call it with the first request or record, not before.

        Where no thread can run, the spool says so to the health of other processes, and is emptied by them.
        """
        notice_fork()
        thread = self._thread
        if not self._allowed or (thread is not None and thread.is_alive()):
            return
        if time.monotonic() >= self._try_again_at:
            self._start()
        if self._problem or self._told:
            self._tell_others()

    def _start(self) -> None:
        with self._start_lock:
            # Under way already: this is a signal handler that records while its thread starts ours.
            is_needless = self._is_starting or (self._thread is not None and self._thread.is_alive())
            if is_needless or self._stop.is_set():
                return
            self._is_starting = True
            try:
                self._start_thread()
            finally:
                self._is_starting = False

    def _start_thread(self) -> None:
        # The thread must not keep an app alive that its host, a test suite perhaps, has dropped.
        loop = _Loop(weakref.ref(self), self._drain.spool, self._wake, self._hurry, self._stop)
        thread = threading.Thread(target=loop.run, name="melody_logs drain", daemon=True)
        self._problem = find_thread_obstacle()
        if self._problem is None:
            try:
                thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter is ending
                self._problem = f"this process cannot start a thread ({error}), so nothing drains in it"
        if self._problem is not None:
            self._try_again_at = time.monotonic() + TRY_AGAIN_SECONDS
            self._log.warn(f"{self._problem}; entries wait in the spool")
            return
        if self._thread is None:
            atexit.register(_stop_at_exit, weakref.ref(self))
        weakref.finalize(self, self._wake.set).atexit = False
        self._thread = thread
        self._drain.hurry = self.hurry

    def _tell_others(self) -> None:
        """Note the problem, or that it is over, in the spool that this process appends to."""
        for file in self._drain.spool.own_files():
            if file.path is not None and (file is self._told) == (self._problem is None):
                with suppress(sqlite3.Error):
                    file.note("unattended", self._problem or "")
                    self._told = file if self._problem else None

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
        notice_fork()
        thread = self._thread
        if thread is None:
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

    @property
    def drain_state(self) -> DrainState:
        """What the drain has done in this process."""
        return self._drain.state

    @property
    def interval_seconds(self) -> float:
        """How long the thread gathers entries."""
        return self._interval_seconds

    def drain(self, adopt: bool) -> bool:
        """Make one pass; False if it failed, which is logged and kept for health."""
        try:
            self._drain.run_once(adopt=adopt)
            return True
        except Exception as error:  # the thread must live
            reason = self._drain.state.error or error
            self._log.warn(f"the logs cannot be written: {reason}; entries wait in the spool")
            return False

    def plan_rest(self, failures: int) -> float:
        """Say for how many seconds the database is left alone after so many failures; till then nobody waits for it."""
        longest: float = min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2 ** min(failures - 1, 10))
        seconds = longest * random.uniform(0.5, 1.0)
        self._drain.resting_until = time.monotonic() + seconds
        return seconds


class _Loop:
    """What the thread runs: pass after pass, while the drain thread object is there."""

    def __init__(
        self,
        owner: weakref.ref[DrainThread],
        spool: Spool,
        wake: Flag,
        hurry: Flag,
        stop: Flag,
    ) -> None:
        self._owner, self._spool = owner, spool
        self._wake, self._hurry, self._stop = wake, hurry, stop
        self._leftovers_at = 0.0
        self._failures = 0

    def run(self) -> None:
        """Drain until told to stop, or until the owner is gone: then close what it left open."""
        while True:
            seconds = self._make_pass()
            if seconds is None:
                return
            if self._failures:
                self._stop.wait(seconds)
                continue
            self._wake.wait(LEFTOVERS_EVERY_SECONDS)
            if self._wake.is_set():
                self._hurry.wait(seconds)
            self._hurry.clear()
            self._wake.clear()

    def _make_pass(self) -> float | None:
        """Drain once; return for how long to rest after a failure, else to gather entries; None at the end."""
        owner = self._owner()
        if owner is None:
            self._spool.close()
            return None
        adopt = time.monotonic() >= self._leftovers_at
        if adopt:
            self._leftovers_at = time.monotonic() + LEFTOVERS_EVERY_SECONDS
        is_last = self._stop.is_set()
        self._failures = 0 if owner.drain(adopt) else self._failures + 1
        if is_last:
            return None
        return owner.plan_rest(self._failures) if self._failures else owner.interval_seconds


def find_thread_obstacle() -> str | None:
    """Say why a thread of this process would not run; None if nothing is known against it.

    uWSGI without threads says so in its embedded module: a thread runs there only while a request does, and would hold
    the write lock of the logs till the next one.
    """
    if getattr(sys.modules.get("uwsgi"), "has_threads", 1) == 0:
        return "uWSGI runs without threads, so nothing drains in this process"
    return None


def _stop_at_exit(reference: weakref.ref[DrainThread]) -> None:
    drain_thread = reference()
    if drain_thread is not None:
        drain_thread.stop()
