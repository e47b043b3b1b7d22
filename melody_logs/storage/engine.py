"""Makes our engine: what differs between databases and drivers in options, timeouts and session settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError, NoSuchModuleError

from ..errors import StorageUnavailableError
from . import mariadb
from .columns import MARIADB
from .copying import listen as listen_for_copies
from .destination import Destination
from .limits import CONNECT_SECONDS, PING_SECONDS
from .models import METADATA
from .reading import listen as listen_for_reads
from .watchdog import WATCHDOG

#: The execution option of a transaction that writes.
WRITES = "melody_logs_writes"

#: Options by driver. The server may vanish without a word (unplugged, failed over): give up on unanswered data, and
#: notice it while waiting for an answer.
_LIBPQ: Mapping[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "application_name": "melody_logs",
}
_DRIVER_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    # Server-side prepared statements break behind PgBouncer's transaction pooling.
    "psycopg": {**_LIBPQ, "prepare_threshold": None},
    "psycopg2": _LIBPQ,
    "psycopg2cffi": _LIBPQ,
    "pg8000": {"application_name": "melody_logs", "timeout": 30},
    "pymysql": {"connect_timeout": CONNECT_SECONDS},
    "mysqldb": {"connect_timeout": CONNECT_SECONDS},
    "mysqlconnector": {"connection_timeout": CONNECT_SECONDS},
    "mariadbconnector": {"connect_timeout": CONNECT_SECONDS},
}
#: Nothing else may say how text is encoded, be it the host, the server or the environment: what another encoding does
#: not have would be refused, and a database without one (SQL_ASCII) would get and give bytes.
_ENCODING: Mapping[str, Any] = {"client_encoding": "utf8"}
_ALWAYS: Mapping[str, Mapping[str, Any]] = {"psycopg": _ENCODING, "psycopg2": _ENCODING, "psycopg2cffi": _ENCODING}


def make_engine(destination: Destination) -> Engine:
    """Make the engine of *destination*; the host's options win over ours. Nothing is connected.

    :raise StorageUnavailableError: if its driver is not there, or its SQLite file cannot be made.
    """
    options = dict(destination.engine_options)
    backend = destination.url.get_backend_name()
    if backend == "sqlite":
        _prepare_file(destination)
    else:
        _add_pool_options(options)
    with _explained_driver(destination):
        url, arguments = destination.url, driver_arguments(destination)
    if mariadb.is_mariadb(backend):
        options["isolation_level"] = "READ COMMITTED"
        url = mariadb.with_our_charset(url, arguments)
    with _explained_driver(destination):
        engine = create_engine(url, **options | {"connect_args": arguments})
    _LISTENERS[backend](engine)
    if destination.schema:
        engine = engine.execution_options(schema_translate_map={None: destination.schema})
    if destination.temporary:
        create_tables(engine)
    return engine


def driver_arguments(destination: Destination) -> dict[str, Any]:
    """Choose what the driver is told: ours where neither the host's options nor the address say otherwise.

    The encoding is always ours.
    """
    driver = destination.url.get_driver_name()
    unsaid = {k: v for k, v in _DRIVER_ARGUMENTS.get(driver, {}).items() if k not in destination.url.query}
    return {**unsaid, **(destination.engine_options.get("connect_args") or {}), **_ALWAYS.get(driver, {})}


def _prepare_file(destination: Destination) -> None:
    try:
        destination.prepare_file()
    except OSError as error:
        raise StorageUnavailableError(
            f'the log database "{destination.url.database}" cannot be made ({error.strerror}): make its folder '
            f'writable for the user of this process, or name another place in "{destination.key}"'
        ) from error


#: By database: the driver that an extra of ours brings, the extra, and how an address begins that uses it.
_OWN_DRIVERS = {
    "postgresql": ("psycopg", "postgresql", "postgresql+psycopg://"),
    "mysql": ("pymysql", "mariadb", "mysql+pymysql://"),
    "mariadb": ("pymysql", "mariadb", "mariadb+pymysql://"),
}


@contextmanager
def _explained_driver(destination: Destination) -> Iterator[None]:
    """Say what to install where the driver of an address is missing.

    :raise StorageUnavailableError: instead of what SQLAlchemy raises.
    """
    url = destination.url
    try:
        yield
    except (ImportError, NoSuchModuleError) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        reason = "is not known" if isinstance(error, NoSuchModuleError) else f"does not load ({error})"
        text = f'"{missing}" is not installed' if missing else f'"{url.drivername}" {reason}'
        driver, extra, start = _OWN_DRIVERS.get(url.get_backend_name(), (None, "", "sqlite:///"))
        remedy = f'run "pip install melody-logs[{extra}]"' if driver else ""
        if missing != driver:
            remedy = " and ".join(filter(None, (f'begin "{destination.key}" with "{start}"', remedy)))
        raise StorageUnavailableError(f"the database driver {text}: {remedy}") from error


def create_tables(engine: Engine) -> None:
    """Make the tables without migrations: for the temporary databases of test suites only."""
    METADATA.create_all(engine)


def _add_pool_options(options: dict[str, Any]) -> None:
    options["pool_pre_ping"] = False  # ours is bounded: _listen_server
    # Each use of ours ends its transaction within its limits; the pool's own way has none.
    options["pool_reset_on_return"] = None
    options.setdefault("pool_size", 5)
    options.setdefault("max_overflow", 10)
    options.setdefault("pool_timeout", 5)
    options.setdefault("pool_recycle", 1800)


def _listen_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        # The driver's own implicit BEGIN would be a deferred one; ours is said in on_begin.
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout=5000")
        if connection.execute("PRAGMA page_count").fetchone() == (0,):
            # Only before the first table; said later, it would ask for the write lock.
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


#: ``synchronous=FULL``: a drained entry leaves the spool, so its commit must survive a power cut.
_SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
)


def _listen_server(engine: Engine) -> None:
    """Ping a pooled connection before its use, as ``pool_pre_ping`` does, but not for ever."""
    listen_for_reads(engine)
    listen_for_copies(engine)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        record.info["is_fresh"] = True

    @event.listens_for(engine, "checkout")
    def on_checkout(connection: Any, record: Any, proxy: Any) -> None:
        if record.info.pop("is_fresh", False):
            return
        try:
            with WATCHDOG.limit(connection, PING_SECONDS):
                engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError("the connection does not answer") from error


def _listen_mariadb(engine: Engine) -> None:
    _listen_server(engine)
    mariadb.listen(engine)


_LISTENERS: Mapping[str, Callable[[Engine], None]] = {
    "sqlite": _listen_sqlite,
    "postgresql": _listen_server,
    **dict.fromkeys(MARIADB, _listen_mariadb),
}
