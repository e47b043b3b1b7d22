"""Column types that keep one meaning on PostgreSQL, SQLite and MariaDB, and the base of our tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Dialect, Float, Index, Integer, MetaData, String, Text, text
from sqlalchemy.dialects.mysql import DATETIME, DOUBLE, LONGTEXT
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

#: Alembic keeps the revision of our tables in it.
VERSION_TABLE = "melody_alembic_version"

#: SQLite only numbers a key by itself when its type is INTEGER.
BigKey = BigInteger().with_variant(Integer(), "sqlite")

#: What SQLAlchemy calls MariaDB: the first by an address ``mysql+…``, the second by ``mariadb+…``.
MARIADB = ("mysql", "mariadb")

#: Not MEDIUMTEXT: the longest body that can be configured has one byte more.
LongText = Text().with_variant(LONGTEXT(), *MARIADB)

#: Latitude or longitude.
Degrees = Float(53).with_variant(DOUBLE(asdecimal=False), *MARIADB)

_MARIADB_TABLE = {
    "engine": "InnoDB",
    # Text is equal where its bytes are, as on PostgreSQL and SQLite: no folded case, no padding with spaces.
    "charset": "utf8mb4",
    "collate": "utf8mb4_nopad_bin",
    "row_format": "DYNAMIC",
}
#: What each of our tables is made with; other databases ignore it.
TABLE_OPTIONS = {f"{name}_{option}": value for name in MARIADB for option, value in _MARIADB_TABLE.items()}

_SQLITE_FORMAT = "%Y-%m-%d %H:%M:%S.%f"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC instant with microseconds.

    ``timestamptz`` on PostgreSQL, ``DATETIME(6)`` on MariaDB, and on SQLite text in one fixed format, so that it sorts.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type of the database at hand."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(26))
        if dialect.name in MARIADB:
            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Turn an aware datetime into what the driver takes; a naive one is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a datetime without a time zone cannot be stored: {value!r}")
        value = value.astimezone(UTC)
        if dialect.name == "sqlite":
            # Not strftime: it writes the year 300 as "300", which sorts after 2026.
            return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        return value.replace(tzinfo=None) if dialect.name in MARIADB else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Turn the driver's value into an aware UTC datetime."""
        if value is None:
            return None
        moment: datetime = datetime.strptime(value, _SQLITE_FORMAT) if isinstance(value, str) else value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Base(DeclarativeBase):
    """Our own registry and metadata: a host's models and migrations never see it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    __table_args__: Any = TABLE_OPTIONS
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime()}


def partial_indexes(table: str, *names: str) -> tuple[Index, ...]:
    """Index columns that many rows leave empty, without those rows where the database can."""
    return tuple(
        Index(
            f"ix_{table}_{name}",
            name,
            postgresql_where=text(f"{name} IS NOT NULL"),
            sqlite_where=text(f"{name} IS NOT NULL"),
        )
        for name in names
    )
