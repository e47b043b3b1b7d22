"""From the address of a database to import from to an engine that cannot write to it."""

from __future__ import annotations

import importlib.util
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..errors import ImportSourceError
from .destination import Destination
from .engine import driver_arguments

_DRIVERS = ("psycopg", "psycopg2", "pg8000")
#: https://www.sqlite.org/fileformat.html, section 1.3.1
_SQLITE_HEADER = b"SQLite format 3\0"
_STATEMENT_MILLISECONDS = 300_000


def make_source_engine(address: str) -> Engine:
    """Make the engine of a database to import from; a PostgreSQL is not connected yet.

    :raise ImportSourceError: if the address cannot be used; it is not repeated, because it may hold a password.
    """
    url = _read_address(address)
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    engine = create_engine(
        url,
        connect_args=driver_arguments(Destination(url, None)),
        pool_size=1,
        execution_options={"postgresql_readonly": True},
    )

    @event.listens_for(engine, "begin")
    def on_begin(connection: object) -> None:
        connection.exec_driver_sql(  # type: ignore[attr-defined]
            f"SELECT set_config('statement_timeout', '{_STATEMENT_MILLISECONDS}', true)"
        )

    return engine


def _read_address(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise ImportSourceError(
            "the address is not one of a database; accepted: postgresql://user:PASSWORD@host/name, with special "
            "characters of the password percent-encoded, or sqlite:///path/of/file.db"
        ) from None
    backend, _, driver = url.drivername.partition("+")
    if backend == "sqlite":
        return url
    if backend not in ("postgresql", "postgres") or driver not in ("", *_DRIVERS):
        raise ImportSourceError(
            f'"{url.drivername}" cannot be imported from; accepted: postgresql:// and sqlite:// addresses'
        )
    if "@" in (url.host or ""):
        # What stands before the last "@" is a part of the password: it must not come up in an error of the driver.
        raise ImportSourceError('the address has two "@": write "%40" for one that belongs to the password')
    return url.set(drivername=f"postgresql+{driver or _installed_driver()}")


def _installed_driver() -> str:
    for name in _DRIVERS:
        if importlib.util.find_spec(name) is not None:
            return name
    raise ImportSourceError('there is no driver for PostgreSQL: pip install "psycopg[binary]"')


def _sqlite_engine(url: URL) -> Engine:
    path = Path(url.database or "")
    try:
        if not url.database or not path.is_file():
            raise ImportSourceError(f'there is no file "{url.database or ""}"; accepted: sqlite:///path/of/file.db')
        with path.open("rb") as file:
            header = file.read(len(_SQLITE_HEADER))
    except OSError as error:
        raise ImportSourceError(f'"{path}" cannot be read: {error.strerror}') from error
    if header != _SQLITE_HEADER:
        raise ImportSourceError(
            f'"{path}" is not an SQLite database; a D1 export is SQL text: make a database of it with '
            f'"sqlite3 melody.db < {path.name}" and name that'
        )

    def connect() -> sqlite3.Connection:
        # Never a new file, never a change: https://www.sqlite.org/uri.html
        return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, check_same_thread=False)

    return create_engine(URL.create("sqlite", database=str(path)), creator=connect)
