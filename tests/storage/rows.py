"""Rows and databases for the tests of storage and jobs."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from melody_logs.storage.database import Database
from melody_logs.storage.destination import Destination
from melody_logs.storage.models import MODELS, CountryTotal, HourlyTotal, Total
from melody_logs.storage.schema import upgrade
from melody_logs.storage.writer import RowWrite, write_rows
from melody_logs.vocabulary import Kind

NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)


def make_database(url: str) -> Database:
    """Open a database with the newest tables."""
    database = open_database(url)
    upgrade(database)
    return database


def open_database(url: str) -> Database:
    """Open a database as it is."""
    parsed = make_url(url)
    schema = "melody_logs" if parsed.get_backend_name() == "postgresql" else None
    return Database(lambda: Destination(parsed, schema))


def sign_in(**values: Any) -> RowWrite:
    """Make a sign-in with an id of its own."""
    defaults = {"event_id": str(uuid.uuid4()), "occurred_at": NOW, "outcome": "success", "ip": "8.8.8.8"}
    return RowWrite("sign-in", defaults | values)


def message(kind: Kind = "email", **values: Any) -> RowWrite:
    """Make a message with an id of its own."""
    defaults = {"event_id": str(uuid.uuid4()), "occurred_at": NOW, "status": "sent", "receiver": "ann@example.org"}
    return RowWrite(kind, defaults | values)


def write(database: Database, *rows: RowWrite, age: timedelta = timedelta()) -> None:
    """Write rows as if they were recorded *age* ago."""
    with database.write() as connection:
        write_rows(connection, database.now(connection) - age, list(rows))


def read_all(database: Database, kind: Kind) -> list[Any]:
    """Read every row of a log by id."""
    table: Any = MODELS[kind].__table__
    with database.read() as connection:
        return list(connection.execute(select(table).order_by(table.c.id)))


def assert_totals_match(database: Database) -> None:
    """Compare the kept totals with what the rows add up to."""
    with database.read() as connection:
        for kind, model in MODELS.items():
            table: Any = model.__table__
            rows, size = connection.execute(select(func.count(), func.sum(table.c.stored_bytes))).one()
            for total in (Total, HourlyTotal):
                kept: Any = total.__table__
                sums = select(func.sum(kept.c.row_count), func.sum(kept.c.byte_count)).where(kept.c.kind == kind)
                kept_rows, kept_size = connection.execute(sums).one()
                assert (int(kept_rows or 0), int(kept_size or 0)) == (rows, int(size or 0)), (kind, total)
        sign_ins: Any = MODELS["sign-in"].__table__
        located = select(func.coalesce(sign_ins.c.country, "ZZ"), func.count()).group_by(sign_ins.c.country)
        by_row = {country: count for country, count in connection.execute(located)}
        countries: Any = CountryTotal.__table__
        summed = select(countries.c.country, func.sum(countries.c.row_count)).group_by(countries.c.country)
        by_total = {country: int(count) for country, count in connection.execute(summed) if count}
        assert by_total == by_row
