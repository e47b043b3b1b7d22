"""One spool: an SQLite database of waiting entries, on disk or in memory."""

from __future__ import annotations

import math
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any

from .spool_batch import READ, Spooled, read_after
from .waiting import Waiting

FORMAT = "1"
PAGE_BYTES = 4096
#: From here on the bodies of messages are left out, so that there is room for what happened.
NEARLY_FULL = 0.75
#: Deletes hold the appender's lock, so they come in pieces of about half a millisecond.
_DELETE_ENTRIES = 100
#: The appender leaves checkpoints to the drain; this is its net where no drain runs, or the drain is stuck.
_APPENDER_CHECKPOINT_PAGES = 16_384
_BUSY_SECONDS = 0.1
_ROOM_BYTES = 4 * PAGE_BYTES
_SCHEMA = (
    "CREATE TABLE entry (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, appended_at REAL NOT NULL,"
    " body BLOB NOT NULL)",
    "CREATE TABLE dead_letter (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL,"
    " error TEXT NOT NULL, at REAL NOT NULL)",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)
_APPEND = "INSERT INTO entry (number, kind, appended_at, body) VALUES (?, ?, ?, ?)"


class SpoolFile:
    """A spool, appended to by one process only.

    Its numbers rise and are never given twice: the appender counts them, and a spool whose appender has ended gets no
    more entries. The appender and the deletes share one connection under *lock*; the drain reads and checkpoints on a
    second one, so that neither holds up an append.

    Every method may raise :class:`sqlite3.Error`.

    :param path: the file; None for a spool in memory, which has one connection.
    :param alone: refuse to open while another process has it open, and use one connection.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        lock: RLock | None = None,
        max_bytes: int | None = None,
        synchronous: str = "NORMAL",
        alone: bool = False,
    ) -> None:
        self.path = path
        self.id = path.stem if path else str(uuid.uuid4())
        self.lock: Any = lock or RLock()
        #: The last number appended by this process, and up to which number the database has them all.
        self.last_appended = 0
        self.drained_through = 0
        self._max_pages = max_bytes // PAGE_BYTES if max_bytes else None
        self._synchronous = synchronous
        self._alone = alone or path is None
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    def create(self, destination: str) -> None:
        """Make the tables of a new spool, in one transaction, for entries meant for the database *destination*."""
        writer = self._open_writer()
        with _transaction(writer):
            for statement in _SCHEMA:
                writer.execute(statement)
            meta = {"format": FORMAT, "destination": destination, "created_at": datetime.now(UTC).isoformat()}
            writer.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", meta.items())

    def read_meta(self) -> dict[str, str]:
        """Read what :meth:`create` and :meth:`note` wrote; empty if the process was killed before it."""
        with self.lock:
            if self._writing().execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
                return {}
            return dict(self._writing().execute("SELECT name, value FROM meta").fetchall())

    def note(self, name: str, value: str) -> None:
        """Keep a word about this spool for other processes."""
        with self.lock:
            self._writing().execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))

    def append(self, number: int, kind: str, body: bytes) -> None:
        """Add an entry; it survives the death of the process. The caller holds the lock."""
        (self._writer or self._open_writer()).execute(_APPEND, (number, kind, time.time(), body))
        self.last_appended = number

    def prove_room(self) -> None:
        """Write as much as a usual entry takes, and take it away again."""
        with self.lock:
            writer = self._writing()
            with _transaction(writer):
                writer.execute("INSERT OR REPLACE INTO meta VALUES ('room', zeroblob(?))", (_ROOM_BYTES,))
                writer.execute("DELETE FROM meta WHERE name = 'room'")
                writer.execute("INSERT OR REPLACE INTO meta VALUES ('proven_at', ?)", (str(time.time()),))

    def delete(self, number: int) -> bool:
        """Delete one entry; False if it is not there. Only in memory may there be holes."""
        with self.lock:
            return self._writing().execute("DELETE FROM entry WHERE number = ?", (number,)).rowcount > 0

    def read_batch(self) -> list[Spooled]:
        """Read the next entries that are not known to be drained: at most 1000 and about 4 MB, but at least one."""
        if self._alone or (self._reader is None and not self.is_in_place()):
            with self.lock:
                return read_after(self._writing(), self.drained_through)
        if self._reader is None:
            self._reader = self._connect()
        return read_after(self._reader, self.drained_through)

    def delete_drained(self) -> None:
        """Delete the entries up to ``drained_through``, overwriting them in the file."""
        while True:
            with self.lock:
                writer = self._writing()
                first = writer.execute("SELECT min(number) FROM entry").fetchone()[0]
                if first is None or first > self.drained_through:
                    return
                last = min(self.drained_through, first + _DELETE_ENTRIES - 1)
                writer.execute("DELETE FROM entry WHERE number <= ?", (last,))

    def bury(self, dead: Iterable[tuple[int, str]]) -> None:
        """Move entries, given by number and error, to the dead letters, all or none."""
        with self.lock:
            writer = self._writing()
            with _transaction(writer):
                for number, error in dead:
                    rows = writer.execute(READ, (number - 1, 1)).fetchall()
                    if rows and rows[0][0] == number:
                        # Deleted first: a full spool has no room for both.
                        writer.execute("DELETE FROM entry WHERE number = ?", (number,))
                        values = (*rows[0], error[:1000], time.time())
                        writer.execute("INSERT OR REPLACE INTO dead_letter VALUES (?, ?, ?, ?, ?)", values)

    def count_waiting(self) -> Waiting:
        """Count what waits, but not what is drained and could not be deleted yet.

        In a file the entries are not read for it, as their numbers have few holes.
        """
        with self.lock:
            writer = self._writing()
            after = (self.drained_through,)
            dead = dict(writer.execute("SELECT kind, count(*) FROM dead_letter GROUP BY kind").fetchall())
            first = writer.execute("SELECT min(number) FROM entry WHERE number > ?", after).fetchone()[0]
            if first is None:
                return Waiting(0, self._used_bytes(writer) if dead else 0, None, dead)
            oldest = writer.execute("SELECT appended_at FROM entry WHERE number = ?", (first,)).fetchone()[0]
            counted = "max(number) - ? + 1" if self.path else "count(*)"
            values = (first, *after) if self.path else after
            entries = writer.execute(f"SELECT {counted} FROM entry WHERE number > ?", values).fetchone()[0]
            return Waiting(entries, self._used_bytes(writer), datetime.fromtimestamp(oldest, UTC), dead)

    def is_at_limit(self) -> bool:
        """Say whether the file has grown to its limit, give or take the pages of one large entry."""
        return (
            self._max_pages is not None and self.file_bytes() + self.log_bytes() >= 0.8 * self._max_pages * PAGE_BYTES
        )

    def is_nearly_full(self) -> bool:
        """Say whether entries take three quarters of the file's limit; two looks at sizes, unless they may."""
        limit = NEARLY_FULL * (self._max_pages or math.inf) * PAGE_BYTES
        if self.file_bytes() + self.log_bytes() < limit:
            return False
        with self.lock:
            return self._used_bytes(self._writing()) >= limit

    def is_in_place(self) -> bool:
        """Say whether the file is still there under its name."""
        return self.path is None or self.path.exists()

    def is_empty(self) -> bool:
        """Say whether there is neither an entry nor a dead letter."""
        waiting = self.count_waiting()
        return not waiting.entries and not waiting.dead_letters

    def note_drained(self) -> None:
        """Say that everything appended is drained, if nothing is left."""
        with self.lock:
            if not self._writing().execute("SELECT 1 FROM entry LIMIT 1").fetchone():
                self.drained_through = self.last_appended

    def checkpoint(self) -> int:
        """Bring the write-ahead log into the file while others append; return how many bytes the log holds."""
        if self._reader is None:
            self._reader = self._connect()
        _, pages, _ = self._reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(pages) * PAGE_BYTES

    def restart_log(self, *, cut: bool) -> None:
        """Bring the rest of the write-ahead log into the file and begin the log anew, *cut* to nothing or written over.

        Call it after :meth:`checkpoint`, when little is left: appends wait meanwhile. Its first page is written here,
        because its fsync would else be paid by the next append. Cutting a long log takes some milliseconds.
        """
        with self.lock:
            writer = self._writing()
            writer.execute(f"PRAGMA wal_checkpoint({'TRUNCATE' if cut else 'PASSIVE'})").fetchall()
            writer.execute("INSERT OR REPLACE INTO meta VALUES ('log_restarted_at', ?)", (str(time.time()),))

    def log_bytes(self) -> int:
        """Measure the write-ahead log."""
        return _size(self.path.with_name(self.path.name + "-wal")) if self.path else 0

    def file_bytes(self) -> int:
        """Measure the file without its log."""
        return _size(self.path) if self.path else 0

    def close(self) -> None:
        """Close the connections; a later call opens them again. A spool in memory ends with its connection."""
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        for connection in (reader, writer):
            if connection is not None:
                connection.close()

    def abandon(self) -> None:
        """Let go of connections that belong to the parent process, without closing its files."""
        _abandoned.extend(connection for connection in (self._reader, self._writer) if connection is not None)
        self._reader = self._writer = None

    def _used_bytes(self, connection: sqlite3.Connection) -> int:
        pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
        free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
        return (pages - free) * PAGE_BYTES

    def _writing(self) -> sqlite3.Connection:
        return self._writer or self._open_writer()

    def _open_writer(self) -> sqlite3.Connection:
        writer = self._connect()
        if self._max_pages:
            writer.execute(f"PRAGMA max_page_count={self._max_pages}")
        self._writer = writer
        return writer

    def _connect(self) -> sqlite3.Connection:
        # "rw" makes no file: one that is gone must not come back empty under its old name.
        name = f"{self.path.absolute().as_uri()}?mode=rw" if self.path else ":memory:"
        connection = sqlite3.connect(
            name, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            if self.path:
                if self._alone:
                    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
                connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(f"PRAGMA synchronous={self._synchronous}")
                connection.execute(f"PRAGMA wal_autocheckpoint={_APPENDER_CHECKPOINT_PAGES}")
            connection.execute("PRAGMA secure_delete=ON")
        except BaseException:
            connection.close()
            raise
        return connection


#: Connections of a parent process: closing one here could remove files that the parent uses.
_abandoned: list[sqlite3.Connection] = []


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
