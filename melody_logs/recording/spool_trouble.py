"""What an error of a spool means, and what is done about it."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from .spool_file import SpoolFile
from .spool_folder import SpoolRefused

_logger = logging.getLogger("melody_logs")


def is_damage(error: BaseException) -> bool:
    """Say whether SQLite calls the file damaged, or none of its own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_busy(error: BaseException) -> bool:
    """Say whether somebody else is writing to the file."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def is_full_or_broken(error: BaseException) -> bool:
    """Say whether the disk has no room for a write, or does not do it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def explain_refusal(error: Exception, directory: Path, file: SpoolFile | None, max_megabytes: int) -> str:
    """Say why the spool in *directory* takes no entry, and what helps; *file* is the one that was written to."""
    if isinstance(error, SpoolRefused):
        return str(error)
    is_full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    if is_full and file is not None and file.is_at_limit():
        return (
            f'the spool in "{directory}" is full ("MELODY_LOGS_SPOOL_MAX_MEGABYTES" is {max_megabytes}): '
            "see why nothing drains it, or raise the limit"
        )
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    return (
        f'the disk refuses the spool in "{directory}" ({reason}): '
        'make it writable, with room on its disk, or set "MELODY_LOGS_SPOOL_DIR"'
    )


def close_quietly(file: SpoolFile) -> None:
    """Close a spool; what goes wrong is logged."""
    try:
        file.close()
    except sqlite3.Error as error:
        _logger.warning("a spool could not be closed well: %s", error)
