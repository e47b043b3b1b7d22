"""Looking again: what a better file knows comes in, what it does not know stays, and nothing is counted wrongly."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from melody_logs.errors import GeolocationUnavailableError
from melody_logs.geolocation.locate import Locator
from melody_logs.jobs.locate import locate_pending
from melody_logs.jobs.relocate import Relocation, set_back
from melody_logs.storage.database import Database
from melody_logs.storage.locations import claim_pending, find_oldest_pending
from melody_logs.storage.models import LocationClaim, SignInLog
from tests.conftest import StartProcess
from tests.crashing import CRASHED
from tests.geolocation.conftest import WriteDatabase
from tests.geolocation.conftest import write_database as write_database
from tests.storage.rows import assert_totals_match, make_database, read_all, sign_in, write

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
WriteCity = Callable[..., Locator]
ROOT = str(Path(__file__).parents[2])
#: What readers of the log follow.
FOLLOWED = ("id", "position", "version", "updated_at", "country", "city", "stored_bytes")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the log tables, on each database in turn."""
    database = make_database(database_url)
    yield database
    database.close()


@pytest.fixture
def write_city(write_database: WriteDatabase) -> WriteCity:
    """``write_city({network: (country, city, network number)}, name, type)``: a locator on a file that knows them."""

    def make(networks: dict[str, Any], name: str, kind: str = "GeoLite2-City") -> Locator:
        records = {}
        for network, (country, city, number) in networks.items():
            record: dict[str, Any] = {"country": {"iso_code": country}} if country else {}
            record |= {"city": {"names": {"en": city}}} if city else {}
            records[network] = record | ({"autonomous_system_number": number} if number else {})
        return Locator([write_database(kind, records, name)])

    return make


def look_again(database: Database, locator: Locator, **choice: Any) -> Relocation:
    """Set back what was recorded till now, and locate it."""
    given: dict[str, Any] = {"since": LONG_AGO, "until": datetime.now(UTC) + timedelta(days=1), "window_rows": 2}
    done = set_back(database, locator, **given | choice)
    locate_pending(database, locator, budget_seconds=60)
    return done


def rows_of(database: Database, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(row, name) for name in names) for row in read_all(database, "sign-in")]


def test_better_file_fills_in_the_city_and_the_totals_follow(database: Database, write_city: WriteCity) -> None:
    write(database, sign_in(ip="8.8.8.8"), sign_in(ip="81.2.69.142"), sign_in(ip="10.0.0.1"), sign_in(ip="8.8.4.4"))
    locate_pending(database, Locator(), budget_seconds=60)
    before = rows_of(database, "version", "position")
    better = write_city({"8.8.8.0/24": ("CA", "Zürich am See", None), "81.2.69.0/24": ("GB", "Bath", 7)}, "b")
    done = look_again(database, better)
    assert (done.scanned, done.set_back) == (4, 3)
    assert rows_of(database, "country", "city", "asn", "geo_state") == [
        ("CA", "Zürich am See", None, "done"),
        ("GB", "Bath", 7, "done"),
        (None, None, None, "not_applicable"),
        ("US", None, None, "done"),
    ]
    sources = [row.geo_source for row in read_all(database, "sign-in")]
    today = f"GeoLite2-City {datetime.now(UTC):%Y-%m-%d}"
    assert sources[:3] == [today, today, None] and "(approximate)" in sources[3]
    after = rows_of(database, "version", "position")
    assert [new[0] - old[0] for old, new in zip(before, after, strict=True)] == [1, 1, 0, 0]
    assert [new[1] > old[1] for old, new in zip(before, after, strict=True)] == [True, True, False, False]
    assert_totals_match(database)


def test_row_looked_at_in_vain_is_no_news(database: Database, write_city: WriteCity) -> None:
    """Also while it waits: what it has stays readable, and nothing that readers follow moves."""
    first = write_city({"8.8.8.0/24": ("US", "Reston", 1), "8.8.4.0/24": ("US", None, None)}, "a", "A-City")
    write(database, sign_in(ip="8.8.8.8"), sign_in(ip="8.8.4.4"), sign_in(ip="9.9.9.9"))
    locate_pending(database, first, budget_seconds=60)
    before = rows_of(database, *FOLLOWED)
    # It knows only the country of the first, nothing of the second, and the third as little as ever.
    other = write_city({"8.8.8.0/24": ("US", None, 1)}, "b", "B-City")
    until = datetime.now(UTC) + timedelta(days=1)
    assert set_back(database, other, since=LONG_AGO, until=until).set_back == 3
    assert {row.geo_state for row in read_all(database, "sign-in")} == {"pending"}
    assert rows_of(database, *FOLLOWED) == before
    assert_totals_match(database)
    locate_pending(database, other, budget_seconds=60)
    assert rows_of(database, *FOLLOWED) == before
    assert [state for (state,) in rows_of(database, "geo_state")] == ["done", "done", "not_found"]
    assert [(source or "")[:6] for (source,) in rows_of(database, "geo_source")] == ["A-City", "A-City", "B-City"]
    assert_totals_match(database)


def test_same_answer_of_a_newer_file_renews_only_the_source(database: Database, write_city: WriteCity) -> None:
    networks = {"8.8.8.0/24": ("US", "Reston", 1)}
    write(database, sign_in(ip="8.8.8.8"))
    locate_pending(database, write_city(networks, "a", "A-City"), budget_seconds=60)
    before = rows_of(database, *FOLLOWED)
    look_again(database, write_city(networks, "b", "B-City"))
    assert rows_of(database, *FOLLOWED) == before
    assert read_all(database, "sign-in")[0].geo_source.startswith("B-City")


def test_answers_of_headers_imports_and_of_today_stay(database: Database, write_city: WriteCity) -> None:
    given = {"geo_state": "done", "country": "FR"}
    write(
        database,
        sign_in(**given, geo_source="cloudflare headers"),
        sign_in(**given, geo_source="Melody Auth"),
        sign_in(ip="8.8.8.8"),
    )
    today = write_city({"8.8.8.0/24": ("US", "Reston", None)}, "today")
    locate_pending(database, today, budget_seconds=60)
    before = rows_of(database, *FOLLOWED, "geo_source", "geo_state")
    assert look_again(database, today).set_back == 0
    assert rows_of(database, *FOLLOWED, "geo_source", "geo_state") == before


def test_only_the_wanted_rows_are_set_back(database: Database, write_city: WriteCity) -> None:
    write(database, sign_in(ip="8.8.8.8"), age=timedelta(days=9))
    write(database, sign_in(ip="8.8.8.8"), age=timedelta(days=5))
    locate_pending(database, Locator(), budget_seconds=60)
    write(database, sign_in(ip="8.8.8.8"), age=timedelta(days=5))
    old = write_city({"8.8.8.0/24": ("US", "Old Town", None)}, "old", "Old-City")
    locate_pending(database, old, budget_seconds=60)
    new = write_city({"8.8.8.0/24": ("US", "New Town", None)}, "new", "New-City")
    now = datetime.now(UTC)
    assert look_again(database, new, since=now, until=now + timedelta(days=1)).set_back == 0
    assert look_again(database, new, source="OLD-city").set_back == 1
    assert look_again(database, new, source="(approximate)", since=now - timedelta(days=6)).set_back == 1
    assert [city for (city,) in rows_of(database, "city")] == [None, "New Town", "New Town"]
    assert look_again(database, new).set_back == 1
    assert look_again(database, new).set_back == 0, "today's file has answered all"
    assert_totals_match(database)


def test_rows_that_were_given_up_or_not_found_get_another_chance(database: Database, write_city: WriteCity) -> None:
    write(database, sign_in(ip="8.8.8.8", geo_state="failed", geo_attempts=5), sign_in(ip="9.9.9.9"))
    locate_pending(database, write_city({"1.0.0.0/8": ("AU", None, None)}, "a", "A-City"), budget_seconds=60)
    assert [state for (state,) in rows_of(database, "geo_state")] == ["failed", "not_found"]
    look_again(database, write_city({"8.0.0.0/7": ("US", "Reston", None)}, "b", "B-City"))
    assert rows_of(database, "geo_state", "country", "city") == [("done", "US", "Reston")] * 2
    assert_totals_match(database)


def test_row_that_kills_workers_keeps_the_location_that_it_had(database: Database, write_city: WriteCity) -> None:
    write(database, sign_in(ip="8.8.8.8"))
    locate_pending(database, Locator(), budget_seconds=60)
    before = rows_of(database, *FOLLOWED, "geo_source")
    other = write_city({"1.0.0.0/8": ("AU", None, None)}, "b")
    set_back(database, other, since=LONG_AGO, until=datetime.now(UTC) + timedelta(days=1))
    while claim_pending(database, limit=10, owner="dies"):
        with database.transaction() as connection:
            connection.execute(update(LocationClaim).values(lease_until=datetime.now(UTC) - timedelta(minutes=1)))
    assert rows_of(database, *FOLLOWED, "geo_source") == before
    assert rows_of(database, "geo_state") == [("done",)]
    assert_totals_match(database)


def test_file_that_cannot_be_read_sets_nothing_back(database: Database, tmp_path: Path) -> None:
    write(database, sign_in(ip="8.8.8.8"))
    locate_pending(database, Locator(), budget_seconds=60)
    with pytest.raises(GeolocationUnavailableError, match="nothing was set back"):
        look_again(database, Locator([tmp_path / "missing.mmdb"]))
    assert rows_of(database, "geo_state") == [("done",)]


def test_row_that_was_set_back_waits_since_then(database: Database, write_city: WriteCity) -> None:
    """Its age is not its waiting: health would warn at once."""
    write(database, sign_in(ip="8.8.8.8"), age=timedelta(days=30))
    locate_pending(database, Locator(), budget_seconds=60)
    with database.write() as connection:
        connection.execute(update(SignInLog).values(updated_at=datetime.now(UTC) - timedelta(days=30)))
    other = write_city({"8.8.8.0/24": ("US", "Reston", None)}, "b")
    set_back(database, other, since=LONG_AGO, until=datetime.now(UTC) + timedelta(days=1))
    with database.read() as connection:
        since = find_oldest_pending(connection)
        assert since is not None and database.now(connection) - since < timedelta(minutes=10)


def test_two_at_once_and_a_worker_beside_them_lose_nothing(database: Database, write_city: WriteCity) -> None:
    count = 600
    write(database, *(sign_in(ip=f"8.8.{number % 250}.8") for number in range(count)))
    locate_pending(database, Locator(), budget_seconds=60)
    path = write_city({"8.8.0.0/16": ("CA", "Banff", None)}, "b")._files[0].path
    choice: Any = {"since": LONG_AGO, "until": datetime.now(UTC) + timedelta(days=1), "window_rows": 37}

    def locate_for_a_while() -> None:
        for _ in range(20):
            locate_pending(database, Locator([path]), budget_seconds=0.1, batch_rows=50)

    with ThreadPoolExecutor(4) as pool:
        twice: list[Any] = [pool.submit(set_back, database, Locator([path]), **choice) for _ in range(2)]
        workers = [pool.submit(locate_for_a_while) for _ in range(2)]
        for each in [*twice, *workers]:
            each.result()
    locate_pending(database, Locator([path]), budget_seconds=60)
    assert set(rows_of(database, "geo_state", "country", "city", "version")) == {("done", "CA", "Banff", 3)}
    assert_totals_match(database)


@pytest.mark.parametrize(
    ("where", "call"),
    [
        *(("set_back_window", 3), ("_set_back", 5), ("note_heartbeat", 2), ("claim_pending", 2)),
        *(("write_locations", 2), ("_write_each", 1), ("TotalsChange.apply", 1), ("choose_location", 60)),
    ],
)
def test_crash_in_any_phase_is_made_good_by_the_next_run(
    where: str, call: int, sqlite_url: str, write_city: WriteCity, start_process: StartProcess
) -> None:
    database = make_database(sqlite_url)
    write(database, *(sign_in(ip="8.8.8.8") for _ in range(200)))
    locate_pending(database, Locator(), budget_seconds=60)
    path = write_city({"8.8.8.0/24": ("CA", "Banff", None)}, "b")._files[0].path
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-m", "tests.jobs.crashing_relocation", sqlite_url, path, where, str(call)]
    process = start_process(command, environment=environment)
    assert process.wait(timeout_seconds=60) == CRASHED, process.output
    assert_totals_match(database)
    assert {country for (country,) in rows_of(database, "country")} <= {"US", "CA"}
    with database.transaction() as connection:
        connection.execute(update(LocationClaim).values(lease_until=datetime.now(UTC) - timedelta(minutes=1)))
    look_again(database, Locator([path]))
    assert set(rows_of(database, "geo_state", "country", "version")) == {("done", "CA", 3)}
    assert_totals_match(database)
    database.close()
