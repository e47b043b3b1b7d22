"""Hosts whose clock is wrong, before a database whose clock is right."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from melody_logs.clients.registry import create_client
from melody_logs.clients.tokens import InvalidTokenError, TokenAuthority
from melody_logs.health import check_health
from melody_logs.jobs.clean import enforce_retention, sweep_jobs
from melody_logs.jobs.expire import expire_pending
from melody_logs.jobs.locate import locate_pending
from melody_logs.setting_types import RetentionPolicy
from melody_logs.state import State, state_of
from melody_logs.storage.locations import claim_pending
from melody_logs.storage.models import LocationClaim
from melody_logs.vocabulary import SUSPECT_TIME
from tests.conftest import ServedDatabase
from tests.drills.reporting import Drill
from tests.hosts import close_host, make_host
from tests.storage.rows import assert_totals_match, message, read_all, sign_in, write

YEAR = timedelta(days=365)
DAY = timedelta(days=1)
POLICIES = [RetentionPolicy("sign-in", 30), RetentionPolicy("email", 30)]
ROWS = 40
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def host(postgresql_url: str, tmp_path: Path) -> Iterator[Flask]:
    """A host on a database server, which has a clock of its own."""
    with spooling_host(postgresql_url, tmp_path) as app:
        yield app


@pytest.fixture
def each_host(served_database: ServedDatabase, tmp_path: Path) -> Iterator[Flask]:
    """Such a host, on each server in turn."""
    with spooling_host(served_database.url, tmp_path) as app:
        yield app


@contextmanager
def spooling_host(url: str, folder: Path) -> Iterator[Flask]:
    app, _ = make_host(url, tmp_path=folder, MELODY_LOGS_WRITER="spool", MELODY_LOGS_DRAIN_IN_PROCESS=False)
    yield app
    close_host(app)


@pytest.mark.fault("F22")
@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("one year back", lambda: datetime.now(UTC) - YEAR),
        ("one year ahead", lambda: datetime.now(UTC) + YEAR),
        ("in 1970", lambda: datetime(1970, 1, 2, tzinfo=UTC)),
        ("on a leap day", lambda: datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_clock_of_the_host_decides_nothing(each_host: Flask, drill: Drill, name: str, moment: Any) -> None:
    state = state_of(each_host)
    name = f"{name}, {state.database.dialect_name}"
    write(state.database, *(sign_in() for _ in range(ROWS)), age=29 * DAY)
    write(state.database, *(sign_in(identity="due") for _ in range(ROWS)), age=31 * DAY)
    write(state.database, *(message(status="pending") for _ in range(ROWS)), age=timedelta(minutes=14))
    before = database_time(state)
    with time_machine.travel(moment(), tick=True):
        record(state, ROWS)
        state.drain.run_once()
        note_lease(state, drill, f"clock {name}")
        locate_pending(state.database, state.locator, budget_seconds=5)
        enforce_retention(state.database, POLICIES)
        sweep_jobs(state.database, budget_seconds=10)
        expired = expire_pending(state.database, older_than=timedelta(minutes=15))
    rows = read_all(state.database, "sign-in")
    early = 2 * ROWS - sum(row.identity != "due" for row in rows)
    kept = sum(row.identity == "due" for row in rows)
    drill.expect(f"clock {name}: rows deleted early", expected=0, measured=early, held=early == 0)
    drill.expect(f"clock {name}: due rows kept", expected=0, measured=kept, held=kept == 0)
    drill.expect(f"clock {name}: mails expired early", expected=0, measured=expired, held=expired == 0)
    fresh = rows[-ROWS:]
    marked = sum(SUSPECT_TIME in (row.marks or "") for row in fresh)
    drill.expect(f"clock {name}: rows marked suspect", expected=ROWS, measured=marked, held=marked == ROWS)
    assert [row.identity for row in fresh] == names(ROWS)
    assert all(before <= row.recorded_at <= database_time(state) and row.geo_state == "done" for row in fresh)
    assert_totals_match(state.database)


@pytest.mark.fault("F22")
def test_clock_that_jumps_in_mid_run_changes_no_order(host: Flask, drill: Drill) -> None:
    state = state_of(host)
    with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
        for first in range(0, ROWS, 10):
            record(state, 10, first=first)
            traveller.shift(drill.random.choice([-YEAR, YEAR, timedelta(hours=-1), 3 * DAY]))
            note_spool(state, drill)
            if first == 10:
                state.drain.run_once()
        state.drain.run_once()
    found = [row.identity for row in read_all(state.database, "sign-in")]
    order = "as recorded" if found == names(ROWS) else found
    drill.expect("clock jumps: order of the rows", expected="as recorded", measured=order, held=found == names(ROWS))


@pytest.mark.fault("F22")
def test_hour_that_comes_twice_is_told_apart(host: Flask, drill: Drill) -> None:
    """In Berlin the hour from two to three comes twice that night, and UTC knows which is which."""
    state = state_of(host)
    with time_machine.travel(datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN), tick=False) as traveller:
        assert time.localtime().tm_isdst == 1
        record(state, 1)
        traveller.shift(timedelta(hours=1))
        assert (time.localtime().tm_hour, time.localtime().tm_isdst) == (2, 0)
        record(state, 1, first=1)
    state.drain.run_once()
    moments = [row.occurred_at for row in read_all(state.database, "sign-in")]
    wanted = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]
    drill.expect("clock goes back for the winter: times", expected="one hour apart", measured=moments[1] - moments[0],
                 held=moments == wanted)  # fmt: skip


@pytest.mark.fault("F22")
def test_token_of_a_wrong_clock_is_never_good_for_longer(host: Flask, drill: Drill) -> None:
    state = state_of(host)
    client = create_client(state.database, "billing", ["root"])
    authority = TokenAuthority(state.database, state.derive_key, audience="/api", lifetime_seconds=900)
    good = authority.issue_token(client.client_id, "root").access_token
    assert authority.verify_token(good).client_id == client.client_id
    with time_machine.travel(datetime.now(UTC) + YEAR, tick=True):
        ahead = authority.issue_token(client.client_id, "root").access_token
        refused_later = is_refused(authority, good)
    other = TokenAuthority(state.database, state.derive_key, audience="/api", lifetime_seconds=900)
    refused_early = is_refused(other, ahead)
    drill.expect("token after a jump of a year", expected="refused", measured=told(refused_later), held=refused_later)
    drill.expect("token from a year ahead", expected="refused", measured=told(refused_early), held=refused_early)


@pytest.mark.fault("F22")
def test_late_entries_are_not_suspect_and_those_from_the_future_are(host: Flask, drill: Drill) -> None:
    state = state_of(host)
    with time_machine.travel(datetime.now(UTC) - 3 * DAY, tick=True):
        record(state, 1)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6), tick=True):
        record(state, 1, first=1)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=4), tick=True):
        record(state, 1, first=2)
    state.drain.run_once()
    marked = [SUSPECT_TIME in (row.marks or "") for row in read_all(state.database, "sign-in")]
    drill.expect("marked: 3 days late, 6 min ahead, 4 min ahead", expected="only 6 min ahead", measured=marked,
                 held=marked == [False, True, False])  # fmt: skip


def record(state: State, count: int, *, first: int = 0) -> None:
    for name in names(first + count)[first:]:
        assert state.recorder.record_sign_in({"identity": name, "success": True, "ip": "81.2.69.142"})


def names(count: int) -> list[str]:
    return [f"p{number}@example.org" for number in range(count)]


def note_lease(state: State, drill: Drill, what: str) -> None:
    """Claim a row and see by the database's clock how long it is ours; then let it go."""
    assert claim_pending(state.database, limit=1, owner="drill", lease_seconds=60)
    with state.database.transaction() as connection:
        until = connection.scalar(select(func.max(LocationClaim.lease_until)))
        assert until is not None
        left = (until - state.database.now(connection)).total_seconds()
        connection.execute(LocationClaim.__table__.delete())  # type: ignore[attr-defined]
    drill.expect(f"{what}: lease by the database's clock", expected="≤ 60 s", measured=f"{left:.0f} s",
                 held=0 < left <= 60)  # fmt: skip


def note_spool(state: State, drill: Drill) -> None:
    """See that health can tell what waits, whatever the clock did since."""
    (finding,) = [found for found in check_health(state).findings if found.name == "Spool"]
    waiting = state.spool.waiting()
    assert waiting.oldest_at is not None
    is_sane = finding.since is None or abs(finding.since - waiting.oldest_at) < timedelta(minutes=1)
    held = f"{waiting.entries:,} " in finding.text and is_sane
    drill.expect(
        "clock jumps: health of the spool", expected=f"{waiting.entries} wait", measured=finding.text, held=held
    )


def database_time(state: State) -> datetime:
    with state.database.read() as connection:
        return state.database.now(connection)


def is_refused(authority: TokenAuthority, token: str) -> bool:
    try:
        authority.verify_token(token)
    except InvalidTokenError:
        return True
    return False


def told(refused: bool) -> str:
    return "refused" if refused else "taken"
