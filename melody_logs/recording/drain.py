"""From the spools into the log tables: batch by batch, each exactly once."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from ..storage.database import Database
from ..storage.progress import GapCount, advance_progress, forget_old_progress, read_progress, write_gaps
from ..storage.trouble import has_answered
from ..storage.writer import write_rows
from .forking import follow_forks
from .host_clock import mark_suspect_times
from .leftovers import Leftovers
from .losses import SparseLog
from .poison import ReadEntry, Rejection, is_database_trouble, read_entries, write_what_passes
from .spool import Spool
from .spool_batch import Spooled, is_full
from .spool_census import find_strangers
from .spool_file import SpoolFile
from .spool_trouble import is_damage, is_full_or_broken

FORGET_PROGRESS_EVERY_SECONDS = 86_400.0
#: Where no thread drains, one call finds out that the database is away, and those of the next seconds need not.
REST_SECONDS = 15.0


@dataclass(slots=True)
class DrainState:
    """What a drain has done in this process: times are UTC by this host's clock."""

    batches: int = 0
    rows: int = 0
    dead_letters: int = 0
    last_success_at: datetime | None = None
    error: str | None = None
    failing_since: datetime | None = None

    def note_success(self, rows: int) -> None:
        """Count a written batch."""
        self.batches += 1
        self.rows += rows
        self.last_success_at = datetime.now(UTC)
        self.note_no_error()

    def note_no_error(self) -> None:
        """Forget the last error."""
        self.error = self.failing_since = None

    def note_failure(self, error: BaseException) -> None:
        """Keep what went wrong, without the values of a statement."""
        self.error = Rejection(0, error).describe() if isinstance(error, Exception) else repr(error)
        self.failing_since = self.failing_since or datetime.now(UTC)


class Drain:
    """Moves what waits in *spool*, and in the spools of ended processes beside it, into *database*."""

    def __init__(self, spool: Spool, database: Database) -> None:
        self.spool = spool
        self.state = DrainState()
        #: Wakes the thread that drains in this process; None while there is none.
        self.hurry: Callable[[], None] | None = None
        #: Do not wait for the database before this moment of the monotonic clock: it has just failed.
        self.resting_until = 0.0
        self._database = database
        self._log = SparseLog()
        self._forget_at = time.monotonic() + FORGET_PROGRESS_EVERY_SECONDS
        self._begin()
        follow_forks(self)

    def _begin(self) -> None:
        self._pass_lock = threading.Lock()
        self._passing: int | None = None
        self._drained = threading.Condition()
        self._is_slow = False
        self._leftovers = Leftovers(self.spool)

    def run_once(self, *, adopt: bool = True, include_live: bool = False) -> int:
        """Move everything that waits and return how many rows were written.

        :param adopt: look for spools of ended processes too.
        :param include_live: empty also the spools of other living processes: for a worker or command, where the
            processes of the host do not drain themselves.
        :raise Exception: what the database or an own spool file raised; the entries stay in the spool.
        """
        with self._pass_lock:
            return self._make_pass(adopt, include_live)

    def _make_pass(self, adopt: bool, include_live: bool) -> int:
        self._passing = threading.get_ident()
        try:
            rows = self._drain_own()
            if adopt:
                rows += self._drain_others(include_live)
            self._write_losses()
            self.state.note_no_error()
            return rows
        except Exception as error:
            self.state.note_failure(error)
            raise
        finally:
            self._tidy()
            self._passing = None

    def wait_until(self, entry_number: int, timeout_seconds: float) -> bool:
        """Wait until the entry, and all before it, are in the database (or rejected by it).

        It gives up at once while the database rests after a failure, or while an earlier wait has timed out and
        nothing was written since. Without a thread it drains here and now. The entry stays spooled if it gives up.
        """
        if self.spool.is_drained(entry_number):
            return True
        if self._is_slow or time.monotonic() < self.resting_until:
            return False
        if self.hurry is None:
            return self._drain_here(entry_number, timeout_seconds)
        with self._drained:
            self.hurry()
            if self._drained.wait_for(lambda: self.spool.is_drained(entry_number), timeout_seconds):
                return True
        self._is_slow = True
        return False

    def problems(self) -> list[str]:
        """Say what is wrong with spool files, a sentence each, with its remedy where there is one."""
        with self.spool.files_lock:
            own = {file.path for file in self.spool.own_files()}
            strangers = find_strangers(self.spool.directory, self.spool.destination, own)
        return [*strangers, *self._leftovers.problems()]

    def before_fork(self) -> None:
        """Nothing: the spool closes its files, and a pass may be waiting for the database."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Begin anew, without the parent's thread and database connections."""
        self.hurry = None
        self.resting_until = 0.0
        self.state = DrainState()
        self._database.dispose_after_fork()
        self._begin()

    def _drain_here(self, entry_number: int, timeout_seconds: float) -> bool:
        # A signal handler that records while its thread drains would wait for itself without end.
        if self._passing == threading.get_ident() or not self._pass_lock.acquire(timeout=timeout_seconds):
            return False
        try:
            if time.monotonic() < self.resting_until:
                return False
            self._make_pass(adopt=False, include_live=False)
        except Exception as error:
            self.resting_until = time.monotonic() + REST_SECONDS
            self._log.warn(f"the logs cannot be written: {self.state.error or error}; entries wait in the spool")
            return False
        finally:
            self._pass_lock.release()
        return self.spool.is_drained(entry_number)

    def _drain_own(self) -> int:
        rows = 0
        for file in self.spool.own_files():
            try:
                rows += self._drain_file(file)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                aside = self.spool.set_damaged_aside(file)
                self._log.warn(f'a spool was damaged and is now "{aside}"')
        return rows

    def _drain_others(self, include_live: bool) -> int:
        rows = 0
        for path in self._leftovers.find():
            with self._leftovers.opened(path, include_live=include_live) as file:
                if file is not None:
                    rows += self._drain_file(file, between_batches=self._drain_own)
        return rows

    def _drain_file(self, file: SpoolFile, between_batches: Callable[[], int] | None = None) -> int:
        rows = 0
        while batch := self._read(file):
            rows += self._write(file, batch)
            file.drained_through = batch[-1].number
            self._announce()
            self._delete(file)
            if between_batches:
                rows += between_batches()
            if not is_full(batch):
                # What came meanwhile is for the next pass, or the batches would shrink to single entries.
                break
        if file.drained_through < file.last_appended:
            file.note_drained()
            self._announce()
        return rows

    def _read(self, file: SpoolFile) -> list[Spooled]:
        with self.spool.files_lock:
            return file.read_batch()

    def _write(self, file: SpoolFile, batch: Sequence[Spooled]) -> int:
        entries, rejected = read_entries(batch)
        last = batch[-1].number
        try:
            rows = self._commit(file, entries, rejected, last, _write_all)
        except Exception as error:
            is_trouble = is_database_trouble(error) or isinstance(error, sqlite3.Error)
            if not is_trouble or has_answered(error):
                # Alembic is loaded with it, and only for this question.
                from ..storage.schema import refuse_misfit

                # Tables of another version may reject every entry: it is not the entries that are wrong.
                refuse_misfit(self._database)
            if is_trouble:
                raise
            rows = self._commit(file, entries, rejected, last, write_what_passes)
        self._is_slow = False
        self.state.note_success(rows)
        return rows

    def _commit(
        self,
        file: SpoolFile,
        entries: Sequence[ReadEntry],
        unreadable: Sequence[Rejection],
        last: int,
        write: Callable[[Connection, datetime, Sequence[ReadEntry]], list[Rejection]],
    ) -> int:
        with self._database.write() as connection:
            now = self._database.now(connection)
            before = read_progress(connection, file.id)
            if before >= last:
                return 0
            fresh = [entry for entry in entries if entry.number > before]
            mark_suspect_times(fresh, now)
            advance_progress(connection, file.id, last, now)
            rejected = write(connection, now, fresh)
            if rejected or unreadable:
                # Before the commit: progress passes them, so they must be safe elsewhere.
                self._bury(file, [*unreadable, *rejected])
        return len(fresh) - len(rejected)

    def _bury(self, file: SpoolFile, rejected: Sequence[Rejection]) -> None:
        with self.spool.files_lock:
            file.bury([(rejection.number, rejection.describe()) for rejection in rejected])
        self.state.dead_letters += len(rejected)
        self._log.warn(
            f'{len(rejected)} entries cannot be written and are kept as dead letters of the spool "{file.id}": '
            f"{rejected[0].describe()}"
        )

    def _delete(self, file: SpoolFile) -> None:
        try:
            file.delete_drained()
            self.spool.note_room()
            self.spool.trim_log()
        except sqlite3.Error as error:
            if is_damage(error):
                raise
            # They are in the database, and its progress keeps them from being written again: go on reading.
            if is_full_or_broken(error):
                # A full disk has no room even for a delete, but a file that holds nothing else can be removed.
                self.spool.retire(file)
            self._log.warn(f"drained entries cannot be deleted from the spool yet: {error}")

    def _write_losses(self) -> None:
        losses = self.spool.losses.take()
        if losses or time.monotonic() >= self._forget_at:
            with self._database.write() as connection:
                now = self._database.now(connection)
                gaps = [GapCount(kind, loss.lost, loss.first_at, loss.last_at) for kind, loss in losses.items()]
                write_gaps(connection, now, self.spool.id, gaps)
                forget_old_progress(connection, now)
            self._forget_at = time.monotonic() + FORGET_PROGRESS_EVERY_SECONDS
            self.spool.losses.confirm()

    def _tidy(self) -> None:
        try:
            self.spool.tidy()
        except (sqlite3.Error, OSError) as error:
            self._log.warn(f"the spool could not be tidied: {error}")

    def _announce(self) -> None:
        with self._drained:
            self._drained.notify_all()


def _write_all(connection: Connection, now: datetime, entries: Sequence[ReadEntry]) -> list[Rejection]:
    write_rows(connection, now, [entry.row for entry in entries])
    return []
