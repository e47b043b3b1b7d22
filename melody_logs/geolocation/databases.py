"""One MMDB file: opened late, watched, replaced without a restart."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import maxminddb

from ..errors import GeolocationUnavailableError

BUNDLED_TABLE = Path(__file__).resolve().parent / "data" / "country.mmdb"
#: Words in the type names of GeoIP2 files that know other things about an address than its place.
_OTHER_TYPES = ("anonymous", "connection-type", "domain", "static-ip", "user-count")

_logger = logging.getLogger("melody_logs")


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """What ``health`` shows about one file."""

    path: str
    #: ``database_type`` of the file; None if it could not be read.
    type: str | None
    built_on: date | None
    age_days: int | None
    #: ``ok``, ``kept`` (an earlier good version answers, the file is missing or broken) or ``unavailable``.
    state: str
    #: What is wrong and with which file; None when all is well.
    error: str | None
    #: How rows name it: ``GeoLite2-City 2026-09-01``, or the file name where it was never read.
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A reader with what is asked about it for each look-up."""

    reader: maxminddb.Reader
    path: str
    type: str
    built_on: date
    ip_version: int
    source: str
    #: What the first look-up met that could not read its record.
    damage: list[str] = field(default_factory=list)

    def get(self, address: str) -> object:
        """Return the record of *address*, or None.

        :raise GeolocationUnavailableError: if the file is damaged at this place.
        """
        if self.ip_version == 4 and ":" in address:  # an IPv4 file refuses IPv6 addresses instead of knowing none
            return None
        try:
            return self.reader.get(address)
        except Exception as error:  # a damaged file makes the reader raise nearly anything
            text = f'"{self.path}" is damaged: {error}'
            self.damage[:] = [text]
            raise GeolocationUnavailableError(f"{text}; put a good copy in its place.") from error


class DatabaseFile:
    """A path with the last good version of the file there; not thread-safe, its owner holds a lock."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(path)
        self.opened: Opened | None = None
        self.error: str | None = None
        self._seen: tuple[int, ...] | None = None

    def refresh(self) -> None:
        """Open the file if it is new or was replaced; keep the version at hand when the new one cannot be read."""
        try:
            seen = _signature(self.path)
            if seen == self._seen:
                return
            self.opened = _open_copy(self.path, seen)
            # A broken file is not read again before it changes; a full disk or a missing right is worth another try.
            self._seen, self.error = seen, None
        except maxminddb.InvalidDatabaseError as error:
            self._seen = seen
            self._report(str(error))
        except OSError as error:
            self._seen = None
            self._report(_explain(self.path, error))

    def describe(self) -> DatabaseInfo:
        """Say what is at the path; a file that is not in use yet is only glanced at."""
        opened, error = self.opened, self.error
        if opened is None:
            try:
                _signature(self.path)
                opened, error = open_database(self.path, self.path), None
            except maxminddb.InvalidDatabaseError as damage:
                error = str(damage)
            except OSError as trouble:
                error = _explain(self.path, trouble)
        if opened is None:
            return DatabaseInfo(self.path, None, None, None, "unavailable", error, os.path.basename(self.path))
        error = error or next(iter(opened.damage), None)
        age_days = (datetime.now(UTC).date() - opened.built_on).days
        state = "kept" if error else "ok"
        return DatabaseInfo(self.path, opened.type, opened.built_on, age_days, state, error, opened.source)

    def _report(self, text: str) -> None:
        if text != self.error:
            kept = "; the version read before stays in use" if self.opened else ""
            _logger.warning("A location file cannot be read: %s%s", text, kept)
        self.error = text


def _signature(path: str) -> tuple[int, ...]:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise IsADirectoryError("not a regular file")
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _open_copy(path: str, seen: tuple[int, ...]) -> Opened:
    """Open a private copy of the file: a reader maps its file, and the process dies if another truncates that."""
    with open(path, "rb") as original:
        try:
            with tempfile.TemporaryFile(prefix="melody_logs-") as copy:
                shutil.copyfileobj(original, copy, 1 << 20)
                copy.flush()
                if _signature(path) == seen:
                    return open_database(f"/dev/fd/{copy.fileno()}", path)
        except OSError as error:
            _logger.warning('No private copy of "%s" can be made (%s); it is read in place.', path, error)
            return open_database(path, path)
    raise OSError("it is being written")


def open_database(source: str, path: str) -> Opened:
    """Open *source* as the content of *path*.

    :raise maxminddb.InvalidDatabaseError: if it is no MMDB file, or one without locations; the message names *path*.
    :raise OSError: if it cannot be opened.
    """
    try:
        reader = maxminddb.open_database(source)
        metadata = reader.metadata()
        kind, built_on = metadata.database_type, datetime.fromtimestamp(metadata.build_epoch, UTC).date()
        reader.get("8.8.8.8")
    except OSError:
        raise
    except Exception as error:
        raise maxminddb.InvalidDatabaseError(
            f'"{path}" is no complete MMDB file; accepted: GeoIP files (City, Country, ASN) such as GeoLite2-City.mmdb'
        ) from error
    if any(word in kind.lower() for word in _OTHER_TYPES):
        raise maxminddb.InvalidDatabaseError(
            f'"{path}" is of the type "{kind[:64]}", which holds no locations; accepted: City, Country, ASN'
        )
    if path == str(BUNDLED_TABLE):
        source_name = f"bundled country table {built_on:%Y-%m} (approximate)"
    else:
        source_name = f"{kind[:48]} {built_on}"
    return Opened(reader, path, kind, built_on, metadata.ip_version, source_name)


def _explain(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f'"{path}" does not exist'
    return f'"{path}" cannot be read: {(error.strerror or str(error)).lower()}'
