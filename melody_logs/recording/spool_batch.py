"""What the drain takes from a spool at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

BATCH_ENTRIES = 1000
BATCH_BYTES = 4 * 1024 * 1024
READ = "SELECT number, kind, body FROM entry WHERE number > ? ORDER BY number LIMIT ?"


class Spooled(NamedTuple):
    """An entry as it lies in a spool."""

    number: int
    kind: str
    body: bytes


def read_after(connection: sqlite3.Connection, number: int) -> list[Spooled]:
    """Read the entries after *number*: at most 1000 and about 4 MB, but at least one if there is one.

    :raise sqlite3.Error: if the spool cannot be read.
    """
    batch: list[Spooled] = []
    size = 0
    cursor = connection.execute(READ, (number, BATCH_ENTRIES))
    for row in cursor:
        batch.append(Spooled(*row))
        size += len(row[2])
        if size >= BATCH_BYTES:
            break  # see is_full
    cursor.close()
    return batch


def is_full(batch: Sequence[Spooled]) -> bool:
    """Say whether a batch ended because of its size, so that more may wait behind it."""
    return len(batch) >= BATCH_ENTRIES or sum(len(spooled.body) for spooled in batch) >= BATCH_BYTES
