"""How a spool is opened, and its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE_BYTES = 4096
#: The appender leaves checkpoints to the drain; this is its net where no drain runs, or the drain is stuck.
_APPENDER_CHECKPOINT_PAGES = 16_384
_BUSY_SECONDS = 0.1


def connect(path: Path | None, *, alone: bool, synchronous: str) -> sqlite3.Connection:
    """Open the spool at *path*, which must be there, or one in memory.

    :param alone: refuse to open while another process has it open.
    :raise sqlite3.Error: if it cannot be opened, or is none.
    """
    # "rw" makes no file: one that is gone must not come back empty under its old name.
    name = f"{path.absolute().as_uri()}?mode=rw" if path else ":memory:"
    connection = sqlite3.connect(name, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        if path:
            if alone:
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint={_APPENDER_CHECKPOINT_PAGES}")
        connection.execute("PRAGMA secure_delete=ON")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all of the block or nothing, holding the write lock.

    :raise sqlite3.Error: if the file or its disk refuses.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
