"""What lies in the spool files of other processes: counted, not touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from .spool_file import SpoolFile
from .spool_folder import SpoolRefused, check_spool_file, list_spools
from .waiting import Waiting, sum_waiting

T = TypeVar("T")


def count_other_spools(directory: Path, destination: str, own: Collection[Path | None]) -> Waiting:
    """Count what waits for the database *destination*; what cannot be read counts nothing: the drain reports it.

    The caller holds ``Spool.files_lock``.
    """

    def count(file: SpoolFile) -> Waiting:
        meta = file.read_meta()
        if meta.get("destination") != destination:
            return Waiting()
        return file.count_waiting()._replace(unattended=meta.get("unattended"))

    return sum_waiting(*_ask_each(directory, own, count))


def find_strangers(directory: Path, destination: str, own: Collection[Path | None]) -> list[str]:
    """Say in a sentence, with its remedy, that files for another database than *destination* are there, if any are.

    The caller holds ``Spool.files_lock``.
    """

    def is_stranger(file: SpoolFile) -> bool:
        return file.read_meta().get("destination", destination) != destination

    count = sum(_ask_each(directory, own, is_stranger))
    if not count:
        return []
    return [
        f'{count} spool {"file" if count == 1 else "files"} for another log database in "{directory}" '
        f'{"is" if count == 1 else "are"} left alone: give each app a "MELODY_LOGS_SPOOL_DIR" of its own, or, if '
        'this app changed its database, run "flask melody-logs drain" once with the settings of before'
    ]


def _ask_each(directory: Path, own: Collection[Path | None], ask: Callable[[SpoolFile], T]) -> list[T]:
    answers = []
    for path in list_spools(directory):
        if path in own:
            continue
        file = SpoolFile(path)
        try:
            check_spool_file(path)
            answers.append(ask(file))
        except (SpoolRefused, OSError, sqlite3.Error):
            continue
        finally:
            with suppress(sqlite3.Error):
                file.close()
    return answers
