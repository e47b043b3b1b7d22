"""Our own connections to the log database: transactions with limits, the database's clock, the write lock."""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from ..errors import StorageUnavailableError
from . import mariadb
from .destination import Destination, show_url
from .engine import WRITES, make_engine
from .limits import GRACE_SECONDS, IDLE_TRANSACTION_SECONDS, LOCK_SECONDS, READ_SECONDS, WRITE_SECONDS
from .reading import can_limit_statements, limit_statements
from .trouble import explain_trouble, is_forbidden
from .watchdog import WATCHDOG

#: The execution option with the clock that a transaction on PostgreSQL read at its begin.
_BEGAN_AT = "melody_logs_began_at"
_read_seconds: ContextVar[float] = ContextVar("melody_logs_read_seconds", default=READ_SECONDS)


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
        """A hash that names the database and schema: spools are drained to their own only.

        User, password, driver and options are left out: an app that changes them still drains what it spooled before.
        """
        url = self.url
        backend = "mariadb" if mariadb.is_mariadb(self.dialect_name) else self.dialect_name
        hosts = [url.host, url.port, url.query.get("host"), url.query.get("port"), url.query.get("unix_socket")]
        named = [backend, *hosts, url.database, self.destination.schema]
        return hashlib.sha256(repr(named).encode()).hexdigest()[:32]

    @property
    def engine(self) -> Engine:
        """The engine of this process."""
        if self._engine is None or self._pid != os.getpid():
            with self._lock:
                if self._engine is None or self._pid != os.getpid():
                    if self._engine is not None:
                        # The parent goes on using these connections: forget them without a word to the server.
                        self._engine.dispose(close=False)
                    self._engine = make_engine(self.destination)
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
        """Give a connection that only reads, and whose queries end after ten seconds.

        :raise StorageUnavailableError: if the tables are missing or forbidden.
        """
        seconds = _read_seconds.get()
        with _explained(self), self.engine.connect() as connection, _limited(connection, seconds):
            try:
                if can_limit_statements(connection):
                    limit_statements(connection, seconds)
                elif connection.dialect.name == "postgresql":
                    connection.exec_driver_sql(f"SELECT {_set_locally({'statement_timeout': seconds})}")
                elif mariadb.is_mariadb(connection.dialect.name):
                    mariadb.limit_statements(connection, seconds)
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def reads_within(self, seconds: float) -> Iterator[None]:
        """Let every :meth:`read` of the block give up after *seconds*."""
        token = _read_seconds.set(seconds)
        try:
            yield
        finally:
            _read_seconds.reset(token)

    @contextmanager
    def transaction(self, *, waits_for_disk: bool = True) -> Iterator[Connection]:
        """Give a connection in a transaction that writes and commits at the end, beside other writers where possible.

        :param waits_for_disk: False lets PostgreSQL answer the commit before it is on the disk: everybody sees it at
            once, and a crash of the server itself, not of a client, may forget it.
        :raise StorageUnavailableError: if the tables are missing or forbidden.
        """
        with self._writing(lock=None, waits_for_disk=waits_for_disk) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in one transaction that holds the write lock, and commit at the end.

        The lock orders ids, positions and commits, so that a reader that follows them skips nothing. It is given back
        when the transaction has ended.

        :raise StorageUnavailableError: if the tables are missing or forbidden, or the lock is not free for ten seconds.
        """
        with self._writing(lock=f"melody_logs:{self.destination.schema or self.url.database}") as connection:
            yield connection

    @contextmanager
    def _writing(self, *, lock: str | None, waits_for_disk: bool = True) -> Iterator[Connection]:
        with _explained(self), self.engine.connect() as connection, ExitStack() as stack:
            connection.execution_options(**{WRITES: True})
            stack.enter_context(_limited(connection, WRITE_SECONDS))
            if mariadb.is_mariadb(connection.dialect.name):
                mariadb.limit_statements(connection, WRITE_SECONDS)
                if lock:
                    stack.enter_context(mariadb.session_lock(connection, lock))
            stack.enter_context(connection.begin())
            if connection.dialect.name == "postgresql":
                moment = _begin_on_postgresql(connection, lock, waits_for_disk)
                connection.execution_options(**{_BEGAN_AT: moment})
            # On SQLite, BEGIN IMMEDIATE took the lock.
            yield connection

    def now(self, connection: Connection) -> datetime:
        """Read the database's clock: an aware UTC datetime. A transaction that writes may give that of its begin."""
        value: Any = connection.get_execution_options().get(_BEGAN_AT)
        if value is None:
            value = connection.scalar(select(_CLOCKS[connection.dialect.name]()))
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


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


@contextmanager
def _limited(connection: Connection, seconds: float) -> Iterator[None]:
    with WATCHDOG.limit(connection.connection.driver_connection, seconds + GRACE_SECONDS):
        yield


def _begin_on_postgresql(connection: Connection, lock: str | None, waits_for_disk: bool) -> datetime:
    """Set the limits of a transaction that writes, take the write lock and read the clock, in this order, at once."""
    limits: dict[str, float | str] = {
        "statement_timeout": WRITE_SECONDS,
        "lock_timeout": LOCK_SECONDS,
        # A frozen client must not hold locks for ever, nor may a waiter wait for ever.
        "idle_in_transaction_session_timeout": IDLE_TRANSACTION_SECONDS,
    }
    if not waits_for_disk:
        limits["synchronous_commit"] = "off"
    key = f"pg_advisory_xact_lock({zlib.crc32(lock.encode())}), " if lock else ""
    query = f"SELECT {_set_locally(limits)}, {key}clock_timestamp()"
    moment: datetime = connection.exec_driver_sql(query).one()[-1]
    return moment


def _set_locally(settings: Mapping[str, float | str]) -> str:
    """Write limits (seconds) and words for this transaction only: behind PgBouncer, the session is another's next."""
    texts = {name: value if isinstance(value, str) else f"{round(value * 1000)}ms" for name, value in settings.items()}
    return ", ".join(f"set_config('{name}', '{text}', true)" for name, text in texts.items())


@contextmanager
def _explained(database: Database) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if is_forbidden(error):
            raise StorageUnavailableError(": ".join(explain_trouble(database.destination, error))) from error
        if not _says_missing_table(error):
            raise
        shown = show_url(database.url)
        raise StorageUnavailableError(
            f'the log tables are missing or of another version in "{shown}": run "flask melody-logs db upgrade"'
        ) from error


def _says_missing_table(error: DBAPIError) -> bool:
    original = error.orig
    if mariadb.says_missing_table(error):
        return True
    if getattr(original, "sqlstate", None) in ("42P01", "3F000", "42703"):
        return True
    if getattr(original, "pgcode", None) in ("42P01", "3F000", "42703"):
        return True
    message = str(original)
    # SQLite for a missing table, a column that is read, a column that is written.
    signs = ("no such table: melody_", "no such column", "has no column named")
    return any(sign in message for sign in signs)
