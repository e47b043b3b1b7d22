"""The spool files of other processes: those of the dead are taken over, those of the living may be emptied."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .spool_file import FORMAT, SpoolFile
from .spool_folder import (
    DAMAGED_SUFFIX,
    SpoolLock,
    SpoolRefused,
    check_folder,
    check_spool_file,
    list_spools,
    remove_spool,
    remove_stray_locks,
    set_aside,
)
from .spool_trouble import is_damage

if TYPE_CHECKING:
    from .spool import Spool

Opened = tuple[SpoolFile, SpoolLock | None]


class Leftovers:
    """Opens other processes' spools in the folder and for the destination of *spool*, one at a time."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._problems: dict[Path, str] = {}
        #: Size and time of files that hold nothing for us, so that they are not opened at every sweep.
        self._settled: dict[Path, tuple[int, int] | None] = {}

    def problems(self) -> list[str]:
        """Say what was found and left alone, a sentence each."""
        return list(self._problems.values())

    def find(self) -> list[Path]:
        """List the files that may hold something for us; remove locks that lock nothing."""
        own = {file.path for file in self._spool.own_files()}
        folder = self._spool.directory
        try:
            check_folder(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (SpoolRefused, OSError) as error:
            self._problems = {folder: str(error)}
            return []
        with self._spool.files_lock:
            remove_stray_locks(folder)
            paths = [path for path in list_spools(folder) if path not in own]
            damaged = list_spools(folder, DAMAGED_SUFFIX)
        self._problems = {path: text for path, text in self._problems.items() if path in paths}
        self._problems |= {
            path: f'the spool "{path}" is damaged: "sqlite3 {path} .recover" may save its entries' for path in damaged
        }
        self._settled = {path: seen for path, seen in self._settled.items() if path in paths}
        return [path for path in paths if path not in self._settled or _look(path) != self._settled[path]]

    @contextmanager
    def opened(self, path: Path, *, include_live: bool) -> Iterator[SpoolFile | None]:
        """Give the spool at *path*, or None if it is not ours to drain; afterwards delete it if nothing is left.

        Trouble with the file is noted among the problems; every other exception passes.
        """
        with self._spool.files_lock:
            pair = self._open(path, include_live)
            if pair is not None:
                self._spool.adopted.append(pair)
        if pair is None:
            yield None
            return
        trouble: Exception | None = None
        try:
            yield pair[0]
        except (sqlite3.Error, OSError) as error:
            trouble = error
        finally:
            with self._spool.files_lock:
                self._finish(path, pair, trouble)
                self._spool.adopted.remove(pair)

    def _open(self, path: Path, include_live: bool) -> Opened | None:
        lock = None
        try:
            check_spool_file(path)
            lock = SpoolLock.take(path.with_suffix(".lock"))
        except (SpoolRefused, OSError) as error:
            self._note(path, error)
            return None
        if lock is None and not include_live:
            return None
        file = SpoolFile(path, alone=lock is not None)
        try:
            meta = file.read_meta()
        except sqlite3.Error as error:
            # Somebody else has it open at this moment, or it was just deleted: the next sweep will see.
            passing = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN)
            if passing:
                self._let_go(path, (file, lock), settled=False)
            else:
                self._finish(path, (file, lock), error)
            return None
        if not meta and lock is not None:  # its process was killed before the first entry
            file.close()
            remove_spool(path, lock)
            return None
        if meta.get("format") == FORMAT and meta.get("destination") == self._spool.destination:
            return file, lock
        if meta.get("format") != FORMAT:
            self._problems[path] = (
                f'"{path}" has format "{meta.get("format")}", this version reads "{FORMAT}" and leaves it alone: '
                'run "flask melody-logs drain" of the version that wrote it'
            )
        self._let_go(path, (file, lock), settled=True)
        return None

    def _finish(self, path: Path, pair: Opened, trouble: Exception | None) -> None:
        """Delete the spool if it is empty, rename it if it is damaged, else leave it for the next sweep."""
        file, lock = pair
        settled = False
        try:
            if trouble is not None:
                raise trouble
            waiting = file.count_waiting()
            self._problems.pop(path, None)
            settled = lock is not None and not waiting.entries
            if lock is not None and settled and not waiting.dead_letters:
                file.close()
                remove_spool(path, lock)
                return
        except (sqlite3.Error, OSError) as error:
            self._note(path, error)
            if is_damage(error) and lock is not None:
                self._set_aside(path, file)
        self._let_go(path, pair, settled)

    def _let_go(self, path: Path, pair: Opened, settled: bool) -> None:
        file, lock = pair
        try:
            file.close()
        except sqlite3.Error as error:
            self._note(path, error)
        if settled:
            self._settled[path] = _look(path)
        if lock is not None:
            lock.release()

    def _set_aside(self, path: Path, file: SpoolFile) -> None:
        try:
            file.close()
            set_aside(path)
        except (sqlite3.Error, OSError) as error:
            self._note(path, error)

    def _note(self, path: Path, error: Exception) -> None:
        shown = str(error) if isinstance(error, SpoolRefused) else f'the spool "{path}" cannot be drained ({error})'
        self._problems[path] = shown


def _look(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
