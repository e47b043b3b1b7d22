"""Counted sign-ins: what was folded adds up, in whatever order and batches it is written."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from melody_logs.recording.entries import Entry, to_row
from melody_logs.storage.database import Database
from melody_logs.storage.location_choice import LocationResult
from melody_logs.storage.location_results import write_locations
from melody_logs.storage.locations import claim_pending
from melody_logs.storage.writer import RowWrite
from melody_logs.vocabulary import SUSPECT_TIME
from tests.storage.rows import NOW, assert_totals_match, make_database, read_all, write

EVENT = str(uuid.uuid4())
FACTS = {"ip": "8.8.8.8", "geo_state": "pending", "identity": "ann@example.org", "identity_hash": "hash"}


@pytest.fixture
def database(database_url: str) -> Database:
    return make_database(database_url)


def attempt(second: int, *, agent: str | None = None, event_id: str = EVENT, **values: Any) -> RowWrite:
    """One folded attempt, as the drain hands it over: with its facts if it names its *agent*, else bare."""
    moment = NOW + timedelta(seconds=second)
    given = {"occurred_at": moment, "event": "sign_in", "outcome": "failure", "folded_count": 1} | values
    if agent:
        sample = {"occurred_at": moment.isoformat(), "ip": "8.8.8.8", "user_agent": agent}
        given |= FACTS | {"user_agent": agent, "samples": json.dumps([sample])}
    return to_row(Entry("sign-in", event_id, given, amends=True))


def agents_of(row: Any) -> list[str]:
    return [sample["user_agent"] for sample in json.loads(row.samples)]


def test_batches_in_any_order_give_the_same_count_and_times(database: Database) -> None:
    """Also where what only counts comes before what has the facts, as from a spool in memory."""
    attempts = [attempt(0, agent="First"), attempt(1, agent="Other"), attempt(2), attempt(3)]
    for order in permutations(attempts):
        event_id = str(uuid.uuid4())
        for row in order:
            write(database, row._replace(values=row.values | {"event_id": event_id}))
        counted = read_all(database, "sign-in")[-1]
        assert (counted.event_id, counted.folded_count) == (event_id, 4)
        assert (counted.occurred_at, counted.last_at) == (NOW, NOW + timedelta(seconds=3))
        assert {name: getattr(counted, name) for name in FACTS} == FACTS
        assert counted.user_agent == agents_of(counted)[0]
        assert sorted(agents_of(counted)) == ["First", "Other"]
    assert_totals_match(database)


def test_mark_that_comes_later_stays_with_those_of_the_counted_row(database: Database) -> None:
    suspect = "occurred_at:suspect"
    write(database, attempt(0, agent="First", marks="flood:total"))
    write(database, attempt(1, marks=suspect), attempt(2, marks=suspect))
    write(database, attempt(3))
    (counted,) = read_all(database, "sign-in")
    assert (counted.folded_count, counted.marks) == (4, f"flood:total {suspect}")


def test_attempts_that_meet_in_a_batch_are_one_row(database: Database) -> None:
    write(database, attempt(1), attempt(0, agent="First"), *(attempt(2 + number) for number in range(998)))
    write(database, *(attempt(2000 + number) for number in range(1000)))
    (row,) = read_all(database, "sign-in")
    assert (row.folded_count, row.occurred_at, row.last_at) == (2000, NOW, NOW + timedelta(seconds=2999))
    assert (row.user_agent, row.version, row.user_id_is_integer, row.geo_attempts) == ("First", 2, False, 0)
    assert_totals_match(database)


def test_attempt_that_only_counts_makes_a_row_that_waits_for_no_location(database: Database) -> None:
    write(database, attempt(5))
    (row,) = read_all(database, "sign-in")
    assert (row.folded_count, row.outcome, row.ip, row.geo_state) == (1, "failure", None, "not_applicable")
    assert row.occurred_at == row.last_at == NOW + timedelta(seconds=5)


def test_samples_differ_in_more_than_their_time_and_are_at_most_five(database: Database) -> None:
    write(database, attempt(0, agent="A"), attempt(1, agent="A"), attempt(2, agent="B"))
    write(database, *(attempt(3 + number, agent=agent) for number, agent in enumerate("BACDEFG")))
    (row,) = read_all(database, "sign-in")
    assert agents_of(row) == ["A", "B", "C", "D", "E"]
    assert row.folded_count == 10


def test_location_that_was_found_meanwhile_stays(database: Database) -> None:
    write(database, attempt(0, agent="First"))
    (claim,) = claim_pending(database, limit=1, owner="worker")
    write_locations(database, "worker", {claim.id: LocationResult("done", {"country": "US"}, "table")})
    write(database, attempt(1, agent="Other"), attempt(2))
    (row,) = read_all(database, "sign-in")
    assert (row.folded_count, row.country, row.geo_source) == (3, "US", "table")
    assert_totals_match(database)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_time_of_one_attempt_that_is_off_marks_the_whole_row(database: Database, order: tuple[int, ...]) -> None:
    off = attempt(31_536_000)
    off = off._replace(values={**off.values, "marks": SUSPECT_TIME})
    first = attempt(0, agent="First")
    rows = [first._replace(values={**first.values, "marks": "identity:masked"}), off, attempt(1)]
    for number in order:
        write(database, rows[number])
    (row,) = read_all(database, "sign-in")
    assert set(row.marks.split()) == {"identity:masked", SUSPECT_TIME}
