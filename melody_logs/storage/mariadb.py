"""What MariaDB needs and PostgreSQL and SQLite do not: its sessions, its locks, and what its errors say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event, func, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError

from ..errors import StorageUnavailableError
from .columns import MARIADB
from .limits import CONNECT_SECONDS, IDLE_TRANSACTION_SECONDS, LOCK_SECONDS
from .watchdog import WATCHDOG

OLDEST_VERSION = (10, 11)
#: Drivers join the rows of a batch to statements of up to a megabyte.
SMALLEST_PACKET_BYTES = 1 << 20
_PACKET = "max_allowed_packet"
#: Room for what a statement has beside its text.
_STATEMENT_BYTES = 1 << 14
#: Characters that drivers write as two bytes.
_ESCAPED = "\0\n\r\x1a\"'\\"
#: The option by which these drivers learn how text is encoded; others always say utf8mb4.
_CHARSET_OPTIONS = {"pymysql": "charset", "mysqldb": "charset", "mysqlconnector": "charset"}
#: Nothing that matters here is left to the server's configuration.
_SESSION = (
    "time_zone = '+00:00'",
    # Strict, or what is too long would be cut without a word; and no mode that changes the meaning of SQL.
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    # As many rows as a query asks for.
    "sql_select_limit = 18446744073709551615",
    # Reflection, as of a migration, reads names in quotes only.
    "sql_quote_show_create = 1",
    f"innodb_lock_wait_timeout = {LOCK_SECONDS}",
    f"lock_wait_timeout = {LOCK_SECONDS}",
    f"idle_transaction_timeout = {IDLE_TRANSACTION_SECONDS}",
)
# https://mariadb.com/kb/en/mariadb-error-codes/
_NO_SUCH_TABLE, _NO_SUCH_COLUMN = 1146, 1054
_ACCESS_DENIED = {1044, 1142, 1143, 1227}


def is_mariadb(dialect_name: str) -> bool:
    """Say whether SQLAlchemy's name of a database is one of the two that it has for MariaDB."""
    return dialect_name in MARIADB


def with_our_charset(url: URL, arguments: dict[str, Any]) -> URL:
    """Let the driver say utf8mb4, whatever the host says: other character sets do not have every character."""
    option = _CHARSET_OPTIONS.get(url.get_driver_name())
    if option:
        arguments |= {option: "utf8mb4"}
        arguments.pop("collation", None)
    return url.difference_update_query(["charset", "collation"])


def listen(engine: Engine) -> None:
    """Set each new session up, and refuse a server that cannot hold the logs."""

    @event.listens_for(engine, "connect", insert=True)  # before SQLAlchemy looks at the session
    def on_connect(connection: Any, record: Any) -> None:
        try:
            with WATCHDOG.limit(connection, CONNECT_SECONDS), connection.cursor() as cursor:
                cursor.execute(f"SET {', '.join(_SESSION)}")
                cursor.execute("SELECT VERSION(), @@max_allowed_packet")
                version, record.info[_PACKET] = cursor.fetchone()
            refuse_unsuitable(version, record.info[_PACKET])
        except BaseException:
            connection.close()
            raise

    if engine.dialect.driver == "pymysql":

        @event.listens_for(engine, "do_connect")
        def on_do_connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
            # Its own limit is for the socket alone, and a frozen server's socket opens at once.
            connection = dialect.loaded_dbapi.Connection(*arguments, defer_connect=True, **options)
            with WATCHDOG.limit(connection, CONNECT_SECONDS):
                connection.connect()
            return connection


def refuse_unsuitable(version: str, packet_bytes: int = SMALLEST_PACKET_BYTES) -> None:
    """Check what a server says of itself in ``VERSION()``, such as ``10.11.6-MariaDB-log``, and its largest packet.

    :raise StorageUnavailableError: if it is MySQL, which lacks what the tables need, an older MariaDB, or one that
        takes no packet of a batch's size.
    """
    number = re.match(r"(\d+)\.(\d+)", version)
    is_new_enough = number is not None and tuple(map(int, number.groups())) >= OLDEST_VERSION
    name = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    if name == "MySQL" or not is_new_enough:
        raise StorageUnavailableError(
            f'the log database is {name} "{version}", which is not supported: upgrade to MariaDB '
            f'{".".join(map(str, OLDEST_VERSION))} or newer, or name PostgreSQL or SQLite in "MELODY_LOGS_DATABASE_URI"'
        )
    if packet_bytes < SMALLEST_PACKET_BYTES:
        raise StorageUnavailableError(
            f"the log database has max_allowed_packet = {packet_bytes}, which is too small for a message: set it to "
            f"{SMALLEST_PACKET_BYTES} or more in the configuration of MariaDB"
        )


def refuse_too_large(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Check that each row, with its ``stored_bytes``, fits into what the server takes at once.

    The server would drop the connection, as if it had failed, and the row would be tried for ever.

    :raise DataError: if one does not.
    """
    most = connection.info.get(_PACKET, SMALLEST_PACKET_BYTES) - _STATEMENT_BYTES
    for row in rows:
        if row.get("stored_bytes", most) * 2 <= most:
            continue
        texts = [value for value in row.values() if isinstance(value, str)]
        size = sum(len(text.encode()) + sum(map(text.count, _ESCAPED)) for text in texts)
        if size > most:
            reason = f"a row of {size} bytes is more than max_allowed_packet lets through; raise that, at most to 1 GB"
            raise DataError(None, None, ValueError(reason))


def limit_statements(connection: Connection, seconds: float) -> None:
    """Let the server end each statement of this connection after *seconds*, or never (0); call it in no transaction."""
    if connection.info.get("max_statement_time", 0) != seconds:
        connection.exec_driver_sql(f"SET max_statement_time = {seconds}")
        connection.rollback()
        connection.info["max_statement_time"] = seconds


@contextmanager
def session_lock(connection: Connection, name: str, *, seconds: int = LOCK_SECONDS) -> Iterator[None]:
    """Hold a lock of the server around whole transactions of *connection*; it goes with the session at the latest.

    :raise StorageUnavailableError: if it is not free for *seconds*.
    """
    taken = connection.scalar(select(func.get_lock(name, seconds)))
    connection.rollback()
    if not taken:
        raise StorageUnavailableError(
            f'the lock "{name}" was not free within {seconds} s: another process holds it; try again when it has ended'
        )
    try:
        yield
    finally:
        _release(connection, name)


def _release(connection: Connection, name: str) -> None:
    if connection.invalidated:
        return  # the session has ended, or is about to
    try:
        connection.rollback()
        connection.scalar(select(func.release_lock(name)))
        connection.rollback()
    except DBAPIError:
        # What was to be done is done or undone by now; ending the session frees the lock.
        connection.invalidate()


def says_missing_table(error: DBAPIError) -> bool:
    """Say whether a table or column is not there."""
    return _code_of(error) in (_NO_SUCH_TABLE, _NO_SUCH_COLUMN)


def says_access_denied(error: DBAPIError) -> bool:
    """Say whether the database user lacks a right."""
    return _code_of(error) in _ACCESS_DENIED


def _code_of(error: DBAPIError) -> Any:
    original = error.orig
    first = original.args[0] if original is not None and original.args else None
    return first if isinstance(first, int) else getattr(original, "errno", None)
