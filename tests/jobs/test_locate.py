"""Locating sign-ins: what cannot be found waits, and what breaks the look-up ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from melody_logs.errors import GeolocationUnavailableError
from melody_logs.geolocation.locate import Locator, Lookup
from melody_logs.jobs.locate import locate_pending
from melody_logs.storage.database import Database
from melody_logs.storage.models import SignInLog
from tests.storage.rows import make_database, sign_in, write


class BreakingLocator(Locator):
    """A locator that one address breaks, as a fault in a reader would."""

    def locate(self, ip: str | None) -> Lookup:
        """Raise for 81.2.69.9."""
        if ip == "81.2.69.9":
            raise RuntimeError("this address breaks the reader")
        return super().locate(ip)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the log tables, on SQLite and on PostgreSQL in turn."""
    database = make_database(database_url)
    yield database
    database.close()


def test_rows_get_their_country_and_private_addresses_none(database: Database) -> None:
    write(database, sign_in(ip="81.2.69.142"), sign_in(ip="192.168.1.1"), sign_in(ip=None))
    assert locate_pending(database, Locator(), budget_seconds=5, batch_rows=2) == 3
    assert states(database) == [("done", "GB", 1), ("not_applicable", None, 1), ("not_applicable", None, 1)]


def test_missing_file_counts_no_attempt_and_the_rows_wait(database: Database, tmp_path: Path) -> None:
    write(database, sign_in(ip="81.2.69.142"))
    missing = Locator([tmp_path / "missing.mmdb"])
    for _ in range(7):
        with pytest.raises(GeolocationUnavailableError):
            locate_pending(database, missing, budget_seconds=5)
    assert states(database) == [("pending", None, 0)]
    assert locate_pending(database, Locator(), budget_seconds=5) == 1


def test_address_that_breaks_the_look_up_fails_after_five_attempts(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    write(database, sign_in(ip="81.2.69.9"), sign_in(ip="81.2.69.142"))
    for _ in range(6):
        locate_pending(database, BreakingLocator(), budget_seconds=5)
        with database.transaction() as connection:  # the lease runs out
            past = datetime.now(UTC) - timedelta(minutes=1)
            connection.execute(update(SignInLog).where(SignInLog.geo_state == "pending").values(geo_lease_until=past))
    assert states(database) == [("failed", None, 5), ("done", "GB", 1)]
    assert sum("could not be looked up" in record.message for record in caplog.records) == 5


def states(database: Database) -> list[Any]:
    """State, country and attempts of each row, in order."""
    columns = (SignInLog.geo_state, SignInLog.country, SignInLog.geo_attempts)
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(SignInLog.id))]
