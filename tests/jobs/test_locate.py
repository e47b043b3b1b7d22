"""Locating sign-ins: what cannot be found waits, and what breaks the look-up ends."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from sqlalchemy import delete, func, select, update

from melody_logs.errors import GeolocationUnavailableError
from melody_logs.geolocation.locate import Locator, Lookup
from melody_logs.jobs.locate import locate_pending
from melody_logs.storage.database import Database
from melody_logs.storage.location_choice import LocationResult
from melody_logs.storage.location_results import write_locations
from melody_logs.storage.locations import claim_pending, forget_old_claims
from melody_logs.storage.models import LocationClaim, SignInLog
from tests.storage.rows import assert_totals_match, make_database, read_all, sign_in, write


class BreakingLocator(Locator):
    """A locator that one address breaks, as a fault in a reader would."""

    def locate(self, ip: str | None) -> Lookup:
        """Raise for 81.2.69.9."""
        if ip == "81.2.69.9":
            raise RuntimeError("this address breaks the reader")
        return super().locate(ip)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the log tables, on each database in turn."""
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
        let_leases_run_out(database)
    assert states(database) == [("failed", None, 5), ("done", "GB", 1)]
    assert sum("could not be looked up" in record.message for record in caplog.records) == 5


def test_row_that_kills_workers_is_given_up_alone(database: Database) -> None:
    """A worker that dies leaves its claims; what it was at goes in ever smaller batches, down to one row."""
    write(database, *(sign_in(ip="81.2.69.9" if number == 70 else "81.2.69.142") for number in range(200)))
    deaths = 0
    while claims := claim_pending(database, limit=200, owner=str(deaths)):
        if any(claim.ip == "81.2.69.9" for claim in claims):
            deaths += 1
            let_leases_run_out(database)
        else:
            found = LocationResult("done", {"country": "GB"}, "test")
            assert write_locations(database, str(deaths), dict.fromkeys((claim.id for claim in claims), found))
    assert deaths == 5
    assert states(database) == [("failed", None, 5) if n == 70 else ("done", "GB", ANY) for n in range(200)]
    assert count_claims(database) == 0
    assert_totals_match(database)


def test_late_worker_writes_nothing_over_who_took_its_rows(database: Database) -> None:
    write(database, sign_in(ip="81.2.69.142"))
    (first,) = claim_pending(database, limit=5, owner="late")
    assert claim_pending(database, limit=5, owner="early") == []
    let_leases_run_out(database)
    (second,) = claim_pending(database, limit=5, owner="prompt")
    assert first.id == second.id
    assert write_locations(database, "late", {first.id: LocationResult("done", {"country": "US"}, "test")}) == 0
    assert write_locations(database, "prompt", {first.id: LocationResult("done", {"country": "GB"}, "test")}) == 1
    assert states(database) == [("done", "GB", 2)]
    assert_totals_match(database)


def test_two_locators_at_once_never_claim_the_same_row(database: Database) -> None:
    write(database, *(sign_in() for _ in range(400)))

    def claim_all(owner: str) -> list[int]:
        claimed: list[int] = []
        while claims := claim_pending(database, limit=20, owner=owner):
            claimed += [claim.id for claim in claims]
        return claimed

    with ThreadPoolExecutor(4) as pool:
        by_owner = list(pool.map(claim_all, "abcd"))
    everything = [row_id for claimed in by_owner for row_id in claimed]
    assert sorted(everything) == [row.id for row in read_all(database, "sign-in")]


def test_claims_of_rows_that_were_cleaned_meanwhile_go(database: Database) -> None:
    write(database, sign_in(), sign_in())
    kept, deleted = claim_pending(database, limit=5, owner="worker")
    with database.write() as connection:
        connection.execute(delete(SignInLog).where(SignInLog.id == deleted.id))
    found = LocationResult("done", {"country": "GB"}, "test")
    forget_old_claims(database)
    assert count_claims(database) == 2, "they are still held"
    let_leases_run_out(database)
    forget_old_claims(database)
    assert count_claims(database) == 1
    assert write_locations(database, "worker", {kept.id: found, deleted.id: found}) == 1
    assert count_claims(database) == 0


def let_leases_run_out(database: Database) -> None:
    with database.transaction() as connection:
        past = datetime.now(UTC) - timedelta(minutes=1)
        connection.execute(update(LocationClaim).values(lease_until=past))


def count_claims(database: Database) -> int:
    with database.read() as connection:
        count: int = connection.execute(select(func.count()).select_from(LocationClaim)).scalar_one()
    return count


def states(database: Database) -> list[Any]:
    """State, country and attempts of each row, in order."""
    columns = (SignInLog.geo_state, SignInLog.country, SignInLog.geo_attempts)
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(SignInLog.id))]
