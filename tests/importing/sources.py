"""Melody Auth databases for the tests, with the tables that its migrations make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, create_engine, text

_TABLES = {
    "sqlite": (
        """CREATE TABLE {table} ("id" integer PRIMARY KEY, {columns}, "createdAt" text DEFAULT CURRENT_TIMESTAMP,
        "updatedAt" text DEFAULT CURRENT_TIMESTAMP, "deletedAt" text DEFAULT null)""",
        '"success" integer, "receiver" text, "response" text, "content" text',
        '"userId" number DEFAULT 0, "ip" text, "detail" text',
    ),
    "postgresql": (
        """CREATE TABLE {table} ("id" serial PRIMARY KEY, {columns},
        "createdAt" varchar(19) NOT NULL DEFAULT to_char(current_timestamp, 'YYYY-MM-DD HH24:MI:SS'),
        "updatedAt" varchar(19) NOT NULL DEFAULT to_char(current_timestamp, 'YYYY-MM-DD HH24:MI:SS'),
        "deletedAt" varchar(19) DEFAULT NULL)""",
        '"success" smallint NOT NULL, "receiver" varchar(255) NOT NULL, "response" text NOT NULL, '
        '"content" text NOT NULL',
        '"userId" integer NOT NULL DEFAULT 0, "ip" varchar(15), "detail" text',
    ),
}
_YEAR_BEGINS = datetime(2025, 1, 1)
DETAIL = {
    "longitude": "4.9000",
    "continent": "EU",
    "country": "NL",
    "timezone": "Europe/Amsterdam",
    "region": "North Holland",
    "regionCode": "NH",
    "latitude": "52.3740",
}


class Source:
    """A Melody Auth database: *url* is what the command is given."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: Engine = create_engine(url)
        template, message, sign_in = _TABLES[self.engine.dialect.name]
        with self.engine.begin() as connection:
            for table, columns in (("email_log", message), ("sms_log", message), ("sign_in_log", sign_in)):
                connection.execute(text(template.format(table=table, columns=columns)))

    def insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows that name the same columns."""
        names = list(rows[0])
        columns, values = ", ".join(f'"{name}"' for name in names), ", ".join(f":{name}" for name in names)
        with self.engine.begin() as connection:
            connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), rows)

    def execute(self, statement: str) -> None:
        """Run a statement."""
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()


def opened(url: str) -> Iterator[Source]:
    """Make a source and close it after the test."""
    source = Source(url)
    yield source
    source.close()


def message(**values: Any) -> dict[str, Any]:
    """Make a row of ``email_log`` or ``sms_log``."""
    defaults = {
        "success": 1,
        "receiver": "ann@example.org",
        "response": '{"status":200}',
        "content": "<p>Welcome, Ann</p>",
        "createdAt": "2025-03-14 15:09:26",
    }
    return defaults | values


def sign_in(**values: Any) -> dict[str, Any]:
    """Make a row of ``sign_in_log``."""
    defaults = {"userId": 7, "ip": "8.8.8.8", "detail": json.dumps(DETAIL), "createdAt": "2025-03-14 15:09:26"}
    return defaults | values


def many(count: int) -> list[dict[str, Any]]:
    """Make sign-ins of the year 2025, one of each pair without a location."""
    step = timedelta(days=365) / count
    return [
        sign_in(
            userId=number % 1000 + 1,
            detail=json.dumps(DETAIL) if number % 2 else None,
            createdAt=(_YEAR_BEGINS + number * step).isoformat(" ", "seconds"),
        )
        for number in range(count)
    ]
