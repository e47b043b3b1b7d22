"""Looking at located sign-ins again, because the location file has become better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..errors import GeolocationUnavailableError
from ..geolocation.locate import Locator
from ..geolocation.location import is_of_file
from ..storage.database import Database
from ..storage.relocation import Place, count_between, set_back_window

__all__ = ["Relocation", "count_between", "set_back"]

WINDOW_ROWS = 1000


@dataclass(slots=True)
class Relocation:
    """How many sign-ins were looked through, and how many of them wait for their location again."""

    scanned: int = 0
    set_back: int = 0


def set_back(
    database: Database,
    locator: Locator,
    *,
    since: datetime,
    until: datetime,
    source: str | None = None,
    window_rows: int = WINDOW_ROWS,
    on_progress: Callable[[Relocation], None] = lambda relocation: None,
) -> Relocation:
    """Let sign-ins recorded from *since* to before *until* wait for a look in the files of today, window by window.

    Left out are rows that these files have answered already, and rows whose location came from headers or an import.
    May be stopped at any moment, run again and beside itself.

    :param source: only rows whose source has this text in it, in any case.
    :raise GeolocationUnavailableError: if a file cannot be read; nothing is set back then.
    """
    names = _name_files(locator)
    done = Relocation()
    place: Place | None = None
    while True:
        window = set_back_window(
            database, since=since, until=until, after=place, limit=window_rows, wants=_make_choice(names, source)
        )
        done.scanned += window.scanned
        done.set_back += window.set_back
        on_progress(done)
        if window.last is None:
            return done
        place = window.last


def _name_files(locator: Locator) -> set[str]:
    files = locator.describe()
    wrong = [file.error for file in files if file.error]
    if wrong:
        raise GeolocationUnavailableError(
            f"{'; '.join(wrong)}. Put the file back, or correct MELODY_LOGS_GEOIP_DATABASE; nothing was set back."
        )
    return {file.name for file in files}


def _make_choice(names: set[str], source: str | None) -> Callable[[str | None], bool]:
    def wants(found_by: str | None) -> bool:
        if found_by is None:
            return source is None
        if not is_of_file(found_by) or names.issuperset(found_by.split(" + ")):
            return False
        return source is None or source.lower() in found_by.lower()

    return wants
