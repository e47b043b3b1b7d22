"""The spool of a process: where an entry is safe within microseconds, whatever the database does."""

from __future__ import annotations

import itertools
import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .forking import follow_forks, notice_fork
from .losses import LossCounter, SparseLog
from .spool_census import count_other_spools
from .spool_file import SpoolFile
from .spool_folder import SpoolLock, SpoolRefused, remove_spool, set_aside
from .spool_making import make_spool
from .spool_memory import SpoolMemory
from .spool_trouble import close_quietly, explain_refusal, is_busy, is_damage
from .waiting import Waiting, sum_waiting

RETRY_SECONDS = 2.0
PLACE_CHECK_SECONDS = 1.0
#: For so long an entry that went to the disk shows that the next one will.
PROOF_SECONDS = 1.0
QUIET_SECONDS = 1.0
MOST_RETIRED = 16  # each keeps four descriptors, while somebody keeps file after file busy
_CHECKPOINT_FROM_BYTES = 4 * 1024 * 1024
_RESTART_LOG_FROM_BYTES = 16 * 1024 * 1024
_REPLACE_FILE_FROM_BYTES = 8 * 1024 * 1024
_logger = logging.getLogger("melody_logs")


class Spool:
    """Keeps entries for the database *destination* in a file of this process in *directory*.

    If the disk refuses, up to 1000 entries (8 MB) wait in memory, and the disk is tried again every two seconds. What
    fits neither is counted. Threads may share it; a forked child gets a file of its own at its first append.

    :param max_megabytes: the largest size of the file.
    :param synchronous: ``NORMAL`` survives the death of the process, ``FULL`` also a power cut.
    :param destination: ``Database.fingerprint``.
    """

    def __init__(
        self, directory: Path, *, max_megabytes: int = 256, synchronous: str = "NORMAL", destination: str
    ) -> None:
        self.directory = Path(directory)
        self.destination = destination
        self.losses = LossCounter()
        self._max_megabytes = max_megabytes
        self._synchronous = synchronous
        self._log = SparseLog()
        self._refusal: str | None = None
        self._start()
        follow_forks(self)

    def _start(self) -> None:
        #: Names this process among the gaps.
        self.id = str(uuid.uuid4())
        #: Held by the drain while it touches spool files, never while it waits for the database. Taken before ``lock``.
        self.files_lock = threading.RLock()
        self.lock = threading.RLock()
        #: Files of dead processes that the drain has open.
        self.adopted: list[tuple[SpoolFile, SpoolLock | None]] = []
        self._disk: tuple[SpoolFile, SpoolLock] | None = None
        self._retired: list[tuple[SpoolFile, SpoolLock]] = []
        self._memory = SpoolMemory(self.destination, self.lock)
        self._take_number = itertools.count(1).__next__
        self._is_appending = False
        self._retry_at = self._check_at = self._proven_until = 0.0
        self._seen_at, self._seen_appended, self._wiped = 0.0, 0, 0

    def append(self, kind: str, body: bytes, *, in_memory: bool = True, may_refuse: bool = False) -> int | None:
        """Keep an entry and return its number, or None; never raises for what fails here.

        A number says which entry in this process, not how many: an attempt that failed uses one up.

        :param in_memory: let it wait in memory if the disk refuses.
        :param may_refuse: the caller tells the host of an entry that was not kept; else it is counted as lost.
        """
        notice_fork()
        with self.lock:
            number = self._append_to_disk(kind, body)
            if number is None and in_memory:
                number = self._memory.append(self._take_number, kind, body)
            if number is None and not may_refuse:
                self.losses.count(kind)
        if self._refusal is not None:
            fate = "waits in memory" if number else "is refused" if may_refuse else "is lost"
            self._log.warn(f"{self._refusal}; the entry {fate}")
        return number

    def withdraw(self, number: int) -> bool:
        """Forget an entry that waits in memory; False if it is on the disk or drained."""
        with self.lock:
            return self._memory.withdraw(number)

    def problem(self) -> str | None:
        """Say in a sentence, with its remedy, why entries do not go to the disk; None if they do."""
        what, colon, remedy = (self._refusal or "").partition(": ")
        return f"{what}; entries wait in memory{colon}{remedy}" if what else None

    def find_refusal(self) -> str | None:
        """Say why the disk would refuse an entry now; None if it would take one.

        It is really tried, unless an entry went there within the last second, or was refused within the last two.
        """
        notice_fork()
        now = time.monotonic()
        with self.lock:
            if now >= self._proven_until:
                self._try_disk(now, SpoolFile.prove_room)
            return self._refusal

    def waiting(self) -> Waiting:
        """Count what waits in all spools of this destination in the folder, and in memory.

        :raise sqlite3.Error: if an own file cannot be read.
        """
        with self.files_lock:
            own = self.own_files()
            total = count_other_spools(self.directory, self.destination, {file.path for file in own})
            return sum_waiting(total, *(file.count_waiting() for file in own))

    def own_files(self) -> list[SpoolFile]:
        """Give the spools that only this process appends to, in the order in which the drain takes them."""
        with self.lock:
            files = [*(file for file, _ in self._retired), self._disk and self._disk[0], self._memory.file]
            return [file for file in files if file]

    def is_drained(self, number: int) -> bool:
        """Say whether the entry *number*, and all before it, are out of the spool."""
        return all(file.drained_through >= min(number, file.last_appended) for file in self.own_files())

    def note_room(self) -> None:
        """Try the disk again at the next append: the drain has made room."""
        self._retry_at = 0.0

    def retire(self, file: SpoolFile) -> None:
        """Append to a new file from now on; an own *file* is drained, and then removed as a whole."""
        with self.lock:
            if self._disk and self._disk[0] is file:
                self._retired.append(self._disk)
                self._disk = None

    def set_damaged_aside(self, file: SpoolFile) -> Path | None:
        """Stop using an own *file* that SQLite calls damaged and rename it; return its new path."""
        with self.files_lock, self.lock:
            self.retire(file)
            for retired, lock in [pair for pair in self._retired if pair[0] is file]:
                self._retired.remove((retired, lock))
                close_quietly(retired)
                path = set_aside(retired.path) if retired.path and lock.is_in_place() else None
                remove_spool(lock.path.with_suffix(".spool"), lock)
                return path
        return None

    def trim_log(self) -> None:
        """Keep the write-ahead log small while entries come, after each batch; sqlite3.Error if the disk refuses."""
        with self.files_lock:
            file = self._disk and self._disk[0]
            if file and file.log_bytes() > _CHECKPOINT_FROM_BYTES and file.checkpoint() > _RESTART_LOG_FROM_BYTES:
                file.restart_log(cut=False)

    def tidy(self) -> None:
        """Remove what is done with, trim the log, wipe it when nothing happens; sqlite3.Error if the disk refuses."""
        with self.files_lock:
            self._remove_retired()
            self.trim_log()
            if self._disk is None:
                return
            file = self._disk[0]
            if self._is_quiet(file) and self._wiped != file.last_appended:
                self._wiped = file.last_appended
                self._wipe_log(file)

    def _is_quiet(self, file: SpoolFile) -> bool:
        """Say whether everything is drained and nothing came for a second."""
        now = time.monotonic()
        if self._seen_appended != file.last_appended:
            self._seen_appended, self._seen_at = file.last_appended, now
        return file.drained_through >= file.last_appended and now >= self._seen_at + QUIET_SECONDS

    def _wipe_log(self, file: SpoolFile) -> None:
        """Wipe drained entries out of the write-ahead log as well, and leave a file that a backlog made large."""
        file.checkpoint()
        file.restart_log(cut=True)
        with self.lock:
            if file.file_bytes() > _REPLACE_FILE_FROM_BYTES and file.is_empty():
                self.retire(file)

    def close(self) -> None:
        """Close the files of this process, and delete its own if nothing waits in them."""
        with self.files_lock, self.lock:
            if self._disk:
                self.retire(self._disk[0])
            try:
                self._remove_retired()
            except (sqlite3.Error, OSError) as error:
                _logger.warning("the spool could not be closed well: %s", error)
            for file, lock in self._retired:
                close_quietly(file)
                lock.release()
            self._retired.clear()

    def before_fork(self) -> None:
        """Close the files: the child inherits no connection."""
        self.files_lock.acquire()
        self.lock.acquire()
        for file, _ in self._files_on_disk():
            close_quietly(file)

    def after_fork_in_parent(self) -> None:
        """Go on; the files open again when they are used."""
        self.lock.release()
        self.files_lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: the parent's files, entries and losses are the parent's."""
        for file, lock in self._files_on_disk():
            file.abandon()
            if lock is not None:
                lock.release()
        self.losses = LossCounter()
        self._refusal = None
        self._start()

    def _append_to_disk(self, kind: str, body: bytes) -> int | None:
        number = 0

        def write(file: SpoolFile) -> None:
            nonlocal number
            file.append(number := self._take_number(), kind, body)

        return number if self._try_disk(time.monotonic(), write) else None

    def _try_disk(self, now: float, write: Callable[[SpoolFile], None]) -> bool:
        """Write to this process's file, made if there is none; False if the disk refuses or has just refused."""
        # A signal handler may record while its thread is in here: its entry must not overtake in the same file.
        if self._is_appending or now < self._retry_at:
            return False
        self._is_appending = True
        try:
            if now >= self._check_at:
                self._check_place(now)
            self._write(write)
        except (sqlite3.Error, OSError, SpoolRefused) as error:
            self._refuse(error, now)
            return False
        finally:
            self._is_appending = False
        self._refusal = None
        self._proven_until = now + PROOF_SECONDS
        return True

    def _write(self, write: Callable[[SpoolFile], None]) -> None:
        self._disk = self._disk or self._make_file()
        try:
            write(self._disk[0])
        except sqlite3.Error as error:
            if not is_busy(error) or len(self._retired) >= MOST_RETIRED:
                raise
            # A drain of another process is at work in the file, or frozen in it: a new one is free.
            self.retire(self._disk[0])
            self._disk = self._make_file()
            write(self._disk[0])

    def _make_file(self) -> tuple[SpoolFile, SpoolLock]:
        max_bytes = self._max_megabytes * 1024 * 1024
        options: dict[str, Any] = {"max_bytes": max_bytes, "synchronous": self._synchronous}
        return make_spool(self.directory, self.destination, lock=self.lock, **options)

    def _check_place(self, now: float) -> None:
        """Leave a file that somebody deleted: it still takes entries, but they would end with this process."""
        self._check_at = now + PLACE_CHECK_SECONDS
        if self._disk:
            file, lock = self._disk
            if not (lock.is_in_place() and file.is_in_place()):
                self.retire(file)

    def _refuse(self, error: Exception, now: float) -> None:
        self._retry_at, self._proven_until = now + RETRY_SECONDS, 0.0
        file = self._disk and self._disk[0]
        self._refusal = explain_refusal(error, self.directory, file, self._max_megabytes)
        if is_damage(error) and file:
            self.retire(file)

    def _remove_retired(self) -> None:
        for file, lock in list(self._retired):
            if file.is_empty():
                self._retired.remove((file, lock))
                close_quietly(file)
                remove_spool(lock.path.with_suffix(".spool"), lock)

    def _files_on_disk(self) -> list[tuple[SpoolFile, SpoolLock | None]]:
        return [*self._retired, *self.adopted, *([self._disk] if self._disk else [])]
