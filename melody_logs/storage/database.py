"""Our own connections to the log database: engine, clock, write lock, and what differs between databases."""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from ..errors import StorageUnavailableError
from .destination import Destination
from .models import METADATA, Position

_WRITES = "melody_logs_writes"
LOCK_TIMEOUT_SECONDS = 10


class Database:
    """The log database of one app.

    The engine is made at the first use in a process and made again after a fork. Nothing here touches the host's
    session or connections.

    :param resolve: finds out where the logs live; called once, at the first use.
    """

    def __init__(self, resolve: Callable[[], Destination]) -> None:
        self._resolve = resolve
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._destination: Destination | None = None
        self._pid = os.getpid()

    @property
    def destination(self) -> Destination:
        """Where the logs live."""
        if self._destination is None:
            self._destination = self._resolve()
        return self._destination

    @property
    def url(self) -> URL:
        """The address of the log database."""
        return self.destination.url

    @property
    def dialect_name(self) -> str:
        """``postgresql``, ``sqlite``, ``mysql`` or ``mariadb``."""
        return self.url.get_backend_name()

    @property
    def fingerprint(self) -> str:
        """A hash that names the database and schema without their password: spools are drained to their own only."""
        named = self.url.set(password=None).render_as_string(hide_password=False)
        return hashlib.sha256(f"{named} {self.destination.schema}".encode()).hexdigest()[:32]

    @property
    def engine(self) -> Engine:
        """The engine of this process."""
        if self._engine is None or self._pid != os.getpid():
            with self._lock:
                if self._engine is None or self._pid != os.getpid():
                    if self._engine is not None:
                        # The parent goes on using these connections: forget them without a word to the server.
                        self._engine.dispose(close=False)
                    self._engine = _create_engine(self.destination)
                    self._pid = os.getpid()
                    weakref.finalize(self, _dispose, self._engine, self._pid)
        return self._engine

    def dispose_after_fork(self) -> None:
        """Forget the parent's connections and locks in a forked child."""
        self._lock = threading.Lock()
        if self._engine is not None:
            self._engine.dispose(close=False)
            self._engine = None

    def close(self) -> None:
        """Close the connections of this process; the next use opens new ones."""
        if self._engine is not None:
            self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection in a transaction that ends without a commit.

        :raise StorageUnavailableError: if the tables are missing.
        """
        with _explained(self), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection in a transaction that writes and commits at the end, beside other writers where possible.

        :raise StorageUnavailableError: if the tables are missing.
        """
        with _explained(self), self.engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in one transaction that holds the write lock, and commit at the end.

        The lock orders ids, positions and commits, so that a reader that follows them skips nothing. It ends with the
        transaction.

        :raise StorageUnavailableError: if the tables are missing, or the lock is not free for ten seconds.
        """
        lock_name = f"melody_logs:{self.destination.schema or self.url.database}"
        with self.transaction() as connection:
            _take_write_lock(connection, lock_name)
            try:
                yield connection
                if self.dialect_name in ("mysql", "mariadb"):
                    # Its lock belongs to the session, not to the transaction: commit before it is given back.
                    connection.exec_driver_sql("COMMIT")
            finally:
                if self.dialect_name in ("mysql", "mariadb"):
                    connection.execute(select(func.release_lock(lock_name)))

    def now(self, connection: Connection) -> datetime:
        """Read the database's clock: an aware UTC datetime."""
        value: Any = connection.scalar(select(_CLOCKS[connection.dialect.name]()))
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    def has_tables(self) -> bool:
        """Say whether the log tables are there."""
        with self.engine.connect() as connection:
            return inspect(connection).has_table(Position.__tablename__, schema=self.destination.schema)


def _dispose(engine: Engine, pid: int) -> None:
    """Close the connections of a database that nobody uses any more; a forked child leaves its parent's alone."""
    if os.getpid() == pid:
        engine.dispose()


_CLOCKS: dict[str, Callable[[], Any]] = {
    "postgresql": lambda: func.clock_timestamp(),
    "sqlite": lambda: func.strftime("%Y-%m-%d %H:%M:%f", "now"),
    "mysql": lambda: func.utc_timestamp(6),
    "mariadb": lambda: func.utc_timestamp(6),
}


def _take_write_lock(connection: Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        # A frozen client must not hold the lock for ever, nor may a waiter wait for ever.
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{LOCK_TIMEOUT_SECONDS * 3}s'"))
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
        connection.execute(select(func.pg_advisory_xact_lock(zlib.crc32(name.encode()))))
        return
    if connection.dialect.name == "sqlite":
        return  # BEGIN IMMEDIATE took it
    if not connection.scalar(select(func.get_lock(name, LOCK_TIMEOUT_SECONDS))):
        raise StorageUnavailableError(f'the write lock "{name}" was not free within {LOCK_TIMEOUT_SECONDS} s')


@contextmanager
def _explained(database: Database) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not _says_missing_table(error):
            raise
        shown = database.url.render_as_string(hide_password=True)
        raise StorageUnavailableError(
            f'the log tables are missing or too old in "{shown}": run "flask melody-logs db upgrade"'
        ) from error


def _says_missing_table(error: DBAPIError) -> bool:
    original = error.orig
    if getattr(original, "sqlstate", None) in ("42P01", "3F000", "42703"):
        return True
    if getattr(original, "pgcode", None) in ("42P01", "3F000", "42703"):
        return True
    message = str(original)
    return "no such table: melody_" in message or "no such column" in message or "(1146," in message


def _create_engine(destination: Destination) -> Engine:
    options = dict(destination.engine_options)
    arguments = dict(options.pop("connect_args", {}) or {})
    backend = destination.url.get_backend_name()
    if backend == "sqlite":
        destination.prepare_file()
    else:
        options.setdefault("pool_pre_ping", True)
        options.setdefault("pool_size", 5)
        options.setdefault("max_overflow", 10)
        options.setdefault("pool_timeout", 5)
        options.setdefault("pool_recycle", 1800)
    if backend == "postgresql":
        _set_postgresql_arguments(arguments, destination.url.get_driver_name())
    if backend in ("mysql", "mariadb"):
        options["isolation_level"] = "READ COMMITTED"
        arguments.setdefault("connect_timeout", 2)
    engine = create_engine(destination.url, connect_args=arguments, **options)
    if backend in _LISTENERS:
        _LISTENERS[backend](engine)
    if destination.schema:
        engine = engine.execution_options(schema_translate_map={None: destination.schema})
    if destination.temporary:
        create_tables(engine)
    return engine


def _set_postgresql_arguments(arguments: dict[str, Any], driver: str) -> None:
    arguments.setdefault("connect_timeout", 2)
    # The server may vanish without a word (frozen, unplugged): give up on unanswered data after this.
    arguments.setdefault("tcp_user_timeout", 10_000)
    arguments.setdefault("application_name", "melody_logs")
    if driver == "psycopg":
        # Server-side prepared statements break behind PgBouncer's transaction pooling.
        arguments.setdefault("prepare_threshold", None)


def create_tables(engine: Engine) -> None:
    """Make the tables without migrations: for the temporary databases of test suites only."""
    METADATA.create_all(engine)


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
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


#: ``synchronous=FULL``: a drained entry leaves the spool, so its commit must survive a power cut.
_SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
)


def _listen_mysql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")


_LISTENERS: Mapping[str, Callable[[Engine], None]] = {
    "sqlite": _listen_sqlite,
    "mysql": _listen_mysql,
    "mariadb": _listen_mysql,
}
