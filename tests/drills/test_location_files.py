"""GeoIP files that are missing, cut short, replaced in the middle, or ten years old."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask

from melody_logs.errors import GeolocationUnavailableError
from melody_logs.health import Finding, check_health
from melody_logs.jobs.locate import locate_pending
from melody_logs.state import state_of
from melody_logs.storage.database import Database
from tests.drills.reporting import Drill
from tests.geolocation.conftest import WriteDatabase
from tests.hosts import close_host, make_host
from tests.storage.rows import assert_totals_match, read_all, sign_in, write

ROWS = 200


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """The path of the GeoIP file that the host is told of."""
    return tmp_path / "live" / "GeoLite2-Country.mmdb"


@pytest.fixture
def host(sqlite_url: str, tmp_path: Path, live: Path) -> Iterator[Flask]:
    """A host with sign-ins that wait for their location."""
    live.parent.mkdir()
    app, _ = make_host(sqlite_url, tmp_path=tmp_path, MELODY_LOGS_GEOIP_DATABASE=[str(live)])
    write_rows(app)
    yield app
    close_host(app)


@pytest.mark.fault("F34")
@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("missing", lambda path: path.unlink(), "does not exist"),
        ("truncated", lambda path: os.truncate(path, path.stat().st_size * 2 // 3), "no complete MMDB file"),
    ],
)
def test_rows_wait_for_a_file_that_cannot_be_read(
    host: Flask, live: Path, write_database: WriteDatabase, drill: Drill, name: str, spoil: Callable[[Path], None],
    said: str,
) -> None:  # fmt: skip
    database = state_of(host).database
    good = write_country(write_database, "US").read_bytes()
    live.write_bytes(good)
    spoil(live)
    for _ in range(7):
        with pytest.raises(GeolocationUnavailableError, match=said):
            locate_pending(database, state_of(host).locator, budget_seconds=5)
    states = states_of(database)
    drill.expect(
        f"file {name}: rows that wait", expected=ROWS, measured=states["pending"], held=states == {"pending": ROWS}
    )
    finding = find_location_data(host)
    clear = finding.level == "bad" and said in finding.text and str(live) in finding.text and bool(finding.remedy)
    drill.expect(
        f"file {name}: health",
        expected="bad, names file and remedy",
        measured=finding.text.replace(f"{live.parent}/", ""),
        held=clear,
    )
    live.write_bytes(good)
    settle(host)
    note_located(database, drill, f"file {name}, then back", {"US"})


@pytest.mark.fault("F34")
def test_file_replaced_in_the_middle_of_looking_up(
    host: Flask, live: Path, write_database: WriteDatabase, drill: Drill
) -> None:
    database = state_of(host).database
    versions = [write_country(write_database, country).read_bytes() for country in ("US", "NL")]
    live.write_bytes(versions[0])
    state_of(host).locator._check_interval_seconds = 0
    done = threading.Event()

    def replace() -> None:
        number = 0
        while not done.is_set():
            number += 1
            # Renamed into place, or, as careless tools do, written over and cut in place.
            new = live.with_name("new")
            new.write_bytes(versions[number % 2])
            os.replace(new, live)
            os.truncate(live, 100)
            live.write_bytes(versions[number % 2])

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        settle(host, batch_rows=5)
    finally:
        done.set()
        thread.join()
    note_located(database, drill, "file swapped in the middle", {"US", "NL"})


@pytest.mark.fault("F34")
def test_old_file_is_told(host: Flask, live: Path, write_database: WriteDatabase, drill: Drill) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(days=3653), tick=True):
        live.write_bytes(write_country(write_database, "US").read_bytes())
    settle(host)
    finding = find_location_data(host)
    drill.expect(
        "file ten years old: health",
        expected="warning with its age",
        measured=finding.text,
        held=finding.level == "warning" and "3653 days old" in finding.text and bool(finding.remedy),
    )
    note_located(state_of(host).database, drill, "file ten years old", {"US"})


def settle(host: Flask, *, batch_rows: int = 500) -> None:
    """Locate until nothing waits; what a file in the middle of being written refuses comes again."""
    state = state_of(host)
    state.locator._next_check = 0.0
    for _ in range(1_000):
        try:
            locate_pending(state.database, state.locator, budget_seconds=5, batch_rows=batch_rows)
        except GeolocationUnavailableError:
            continue
        if not states_of(state.database)["pending"]:
            return
    raise AssertionError(f"sign-ins still wait: {states_of(state.database)}")


def note_located(database: Database, drill: Drill, what: str, countries: set[str]) -> None:
    found = read_all(database, "sign-in")
    located = sum(row.geo_state == "done" and row.country in countries for row in found)
    drill.expect(f"{what}: rows located", expected=ROWS, measured=located, held=located == len(found) == ROWS)
    assert_totals_match(database)


def find_location_data(host: Flask) -> Finding:
    with host.app_context():
        return next(one for one in check_health(state_of(host)).findings if one.name == "Location data")


def states_of(database: Database) -> Counter[str]:
    return Counter(row.geo_state for row in read_all(database, "sign-in"))


def write_rows(host: Flask) -> None:
    write(state_of(host).database, *(sign_in(ip=f"8.8.{number}.8") for number in range(ROWS)))


def write_country(write_database: WriteDatabase, country: str) -> Path:
    """Write a file that knows one country for 8.0.0.0/8."""
    return write_database("GeoLite2-Country", {"8.0.0.0/8": {"country": {"iso_code": country}}}, country)
