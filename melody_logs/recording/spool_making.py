"""A new spool: its name, its lock and its tables, or nothing of it."""

from __future__ import annotations

from pathlib import Path
from threading import RLock

from .spool_file import SpoolFile
from .spool_folder import SpoolLock, claim_new_spool, remove_spool
from .spool_trouble import close_quietly


def make_spool(
    directory: Path, destination: str, *, lock: RLock, max_bytes: int, synchronous: str
) -> tuple[SpoolFile, SpoolLock]:
    """Make a spool of this process in *directory*, for entries meant for the database *destination*.

    :raise SpoolRefused: if the folder must not be used.
    :raise OSError: if the lock cannot be made.
    :raise sqlite3.Error: if the file cannot.
    """
    path, held = claim_new_spool(directory)
    file = SpoolFile(path, lock=lock, max_bytes=max_bytes, synchronous=synchronous)
    try:
        file.create(destination)
    except BaseException:
        close_quietly(file)
        remove_spool(path, held)
        raise
    return file, held
