"""The folder of the spools: who may use it, the names of its files, and the lock that says whose process lives.

``<uuid>.spool`` (with SQLite's ``-wal`` and ``-shm``) holds entries; ``<uuid>.lock`` is locked for as long as the
process that appends to it lives. Whoever gets the lock of a spool knows that nobody appends to it any more.
"""

from __future__ import annotations

import fcntl
import os
import stat
import uuid
from pathlib import Path

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_SQLITE_SUFFIXES = ("-wal", "-shm")
SPOOL_SUFFIX = ".spool"
DAMAGED_SUFFIX = ".spool.corrupt"


class SpoolRefused(Exception):
    """The spool folder, or a file in it, must not be used; the message says why and what to do."""


class SpoolLock:
    """A held lock file. Its descriptor is not inherited by programs, and a forked child closes its copy."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, path: Path) -> SpoolLock | None:
        """Make the lock file if it is missing and lock it; None if a living process holds it.

        :raise OSError: if the file cannot be made or opened.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | _NO_FOLLOW, 0o600)
        lock = cls(path, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.release()
            if isinstance(error, BlockingIOError):
                return None
            raise
        # Its last holder may have deleted it between the two calls.
        if lock.is_in_place():
            return lock
        lock.release()
        return None

    def is_in_place(self) -> bool:
        """Say whether the locked file still has its name."""
        try:
            named = os.lstat(self.path)
        except OSError:
            return False
        held = os.fstat(self._descriptor) if self._descriptor is not None else None
        return held is not None and (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)

    def release(self) -> None:
        """Close the file; in a forked child this leaves the parent's lock as it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def prepare_folder(folder: Path) -> None:
    """Make *folder* if it is missing, for its owner only, and check it.

    :raise SpoolRefused: as :func:`check_folder`.
    :raise OSError: if it cannot be made.
    """
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Refuse a folder in which somebody else could plant or swap files.

    :raise SpoolRefused: if it is a link, belongs to another user, or others may write into it.
    :raise OSError: if it is gone.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise SpoolRefused(
            f'the spool folder "{folder}" is a link or no folder: name a folder itself in "MELODY_LOGS_SPOOL_DIR"'
        )
    if found.st_uid != os.geteuid():
        raise SpoolRefused(
            f'the spool folder "{folder}" belongs to user {found.st_uid}, not to user {os.geteuid()} of this process: '
            'change its owner, run as that user, or set "MELODY_LOGS_SPOOL_DIR"'
        )
    if found.st_mode & 0o022:
        raise SpoolRefused(
            f'the spool folder "{folder}" can be written by other users (mode {found.st_mode & 0o777:o}): '
            f'run "chmod 700 {folder}"'
        )


def find_obstacle(folder: Path) -> str | None:
    """Say in a sentence, with its remedy, why this process could not keep entries in *folder*; None if it can.

    Nothing is made or written.
    """
    try:
        place = next(path for path in (folder, *folder.parents) if path.exists())
        if place == folder:
            check_folder(folder)
    except (SpoolRefused, OSError) as error:
        return str(error)
    if os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        return None
    return (
        f'the spool folder "{folder}" cannot be used, because "{place}" is not writable for user {os.geteuid()} of '
        'this process: make it writable, or set "MELODY_LOGS_SPOOL_DIR" to a folder that is'
    )


def claim_new_spool(folder: Path) -> tuple[Path, SpoolLock]:
    """Make an empty spool file, readable by its owner only, under a name of its own, and lock it.

    :raise SpoolRefused: as :func:`prepare_folder`.
    :raise OSError: if the disk refuses.
    """
    prepare_folder(folder)
    while True:
        path = folder / f"{uuid.uuid4()}.spool"
        lock = SpoolLock.take(path.with_suffix(".lock"))
        if lock is None:
            continue
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | _NO_FOLLOW, 0o600))
        except OSError:
            lock.path.unlink(missing_ok=True)
            lock.release()
            raise
        return path, lock


def list_spools(folder: Path, suffix: str = SPOOL_SUFFIX) -> list[Path]:
    """List the spool files in *folder*, the one changed longest ago first; none if the folder cannot be read."""
    try:
        found = [(entry.stat(follow_symlinks=False).st_mtime, entry.name) for entry in os.scandir(folder)]
    except OSError:
        return []
    return [folder / name for _, name in sorted(found) if name.endswith(suffix)]


def check_spool_file(path: Path) -> None:
    """Refuse what somebody may have planted.

    :raise SpoolRefused: if *path* is a link, no plain file, has a second name or belongs to another user.
    :raise OSError: if it is gone.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.geteuid():
        raise SpoolRefused(f'"{path}" is a link or belongs to another user, so it is left alone: remove it')


def remove_spool(path: Path, lock: SpoolLock) -> None:
    """Delete the spool of a held *lock*, its lock file last: a crash on the way leaves what the next sweep removes."""
    if lock.is_in_place():
        for suffix in (*_SQLITE_SUFFIXES, ""):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        lock.path.unlink(missing_ok=True)
    lock.release()


def set_aside(path: Path) -> Path:
    """Rename a damaged spool to ``<uuid>.spool.corrupt``, with what SQLite keeps beside it; return the new path."""
    aside = path.with_suffix(DAMAGED_SUFFIX)
    for suffix in ("", *_SQLITE_SUFFIXES):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    return aside


def remove_stray_locks(folder: Path) -> None:
    """Delete lock files whose spool is gone and whose process has ended."""
    try:
        names = {entry.name for entry in os.scandir(folder)}
    except OSError:
        return
    for name in names:
        if name.endswith(".lock") and name.removesuffix(".lock") + ".spool" not in names:
            path = folder / name
            lock = SpoolLock.take(path) if path.exists() else None
            if lock is not None:
                if not path.with_suffix(".spool").exists():
                    remove_spool(path.with_suffix(".spool"), lock)
                lock.release()


def measure_file(path: Path) -> int:
    """Return the bytes of a file; 0 if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
