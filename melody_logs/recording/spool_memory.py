"""Where entries wait that the disk refuses: in memory, not many, and gone with the process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from threading import RLock

from .spool_file import SpoolFile

MEMORY_ENTRIES = 1000
MEMORY_BYTES = 8 * 1024 * 1024


class SpoolMemory:
    """Up to 1000 entries (8 MB) for the database *destination*; made when the first one comes.

    :param lock: that of the spool, held by whoever calls.
    """

    def __init__(self, destination: str, lock: RLock) -> None:
        self.file: SpoolFile | None = None
        self._destination = destination
        self._lock = lock

    def append(self, take_number: Callable[[], int], kind: str, body: bytes) -> int | None:
        """Keep an entry and return its number; None if there is no room."""
        try:
            file = self._open()
            if file.count_waiting().entries >= MEMORY_ENTRIES:
                return None
            number = take_number()
            file.append(number, kind, body)
        except sqlite3.Error:
            return None
        return number

    def withdraw(self, number: int) -> bool:
        """Forget an entry; False if it is not here, because it lies on the disk or is drained."""
        try:
            return self.file is not None and self.file.delete(number)
        except sqlite3.Error:
            return False

    def _open(self) -> SpoolFile:
        if self.file is None:
            file = SpoolFile(None, lock=self._lock, max_bytes=MEMORY_BYTES)
            file.create(self._destination)
            # A signal handler may have made one meanwhile.
            self.file = self.file or file
        return self.file
