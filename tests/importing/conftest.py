"""A Melody Auth database and a host that imports it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import make_url

from melody_logs.state import state_of
from melody_logs.storage.database import Database
from melody_logs.vocabulary import Kind
from tests.hosts import close_host, make_host
from tests.importing.sources import Source, opened
from tests.servers.postgresql import fresh_database
from tests.storage.rows import read_all


@dataclass
class Host:
    """A host app and its log database."""

    app: Flask

    @property
    def database(self) -> Database:
        """The log database."""
        return state_of(self.app).database

    def run(self, *arguments: str) -> Result:
        """Run a command of ours."""
        return self.app.test_cli_runner().invoke(args=["melody-logs", *arguments])

    def import_from(self, source: Source | str, *options: str) -> str:
        """Run the import, which must succeed, and return what it said."""
        url = source if isinstance(source, str) else source.url
        result = self.run("import", "melody", "--database-url", url, *options)
        assert result.exit_code == 0, result.output
        return result.output

    def rows(self, kind: Kind) -> list[Any]:
        """Read the rows of a log."""
        return read_all(self.database, kind)


@pytest.fixture
def host(database_url: str, tmp_path: Path) -> Iterator[Host]:
    """A host with empty tables, on each database in turn."""
    app, _ = make_host(database_url, tmp_path=tmp_path)
    yield Host(app)
    close_host(app)


@pytest.fixture
def sqlite_host(sqlite_url: str, tmp_path: Path) -> Iterator[Host]:
    """A host on SQLite: for what the log database makes no difference to."""
    app, _ = make_host(sqlite_url, tmp_path=tmp_path)
    yield Host(app)
    close_host(app)


@pytest.fixture
def sqlite_source(tmp_path: Path) -> Iterator[Source]:
    """A source as Cloudflare D1 has it."""
    yield from opened(f"sqlite:///{tmp_path / 'melody.db'}")


@pytest.fixture
def postgresql_source(postgresql_url: str) -> Iterator[Source]:
    """A source on PostgreSQL, in a database of its own beside the one of the logs."""
    url = make_url(postgresql_url)
    with fresh_database(url.set(drivername="postgresql").render_as_string(hide_password=False)) as name:
        yield from opened(url.set(database=name).render_as_string(hide_password=False))


@pytest.fixture(params=["sqlite", "postgresql"])
def source(request: pytest.FixtureRequest) -> Source:
    """A source on SQLite and on PostgreSQL in turn."""
    found: Source = request.getfixturevalue(f"{request.param}_source")
    return found
