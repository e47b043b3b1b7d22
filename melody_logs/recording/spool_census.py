"""Count what waits in the spool files of other processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from .spool_file import SpoolFile
from .spool_folder import SpoolRefused, check_spool_file, list_spools
from .waiting import Waiting, sum_waiting


def count_other_spools(directory: Path, destination: str, own: Collection[Path | None]) -> Waiting:
    """Count what waits for the database *destination*; what cannot be read counts nothing: the drain reports it.

    The caller holds ``Spool.files_lock``.
    """
    counts: list[Waiting] = []
    for path in list_spools(directory):
        if path in own:
            continue
        file = SpoolFile(path)
        try:
            check_spool_file(path)
            if file.read_meta().get("destination") == destination:
                counts.append(file.count_waiting())
        except (SpoolRefused, OSError, sqlite3.Error):
            continue
        finally:
            with suppress(sqlite3.Error):
                file.close()
    return sum_waiting(*counts)
