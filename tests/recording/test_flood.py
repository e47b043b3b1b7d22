"""The flood guard: evidence stays, rows stay few, and every attempt is counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from melody_logs import signals
from melody_logs.recording.flood import FLOOD_ROWS_PER_SECOND, MOST_KEYS, network_of
from melody_logs.storage.models import TABLES
from tests.hosts import close_host
from tests.recording.flooding import WHOLE, Flood, samples_of, sum_attempts
from tests.storage.rows import assert_totals_match


@pytest.fixture
def flood(database_url: str, tmp_path: Path) -> Iterator[Flood]:
    flood = Flood(database_url, tmp_path)
    yield flood
    assert_totals_match(close_host(flood.app).database)


@pytest.fixture
def small_flood(sqlite_url: str, tmp_path: Path) -> Iterator[Flood]:
    flood = Flood(sqlite_url, tmp_path)
    yield flood
    assert_totals_match(close_host(flood.app).database)


def test_first_failures_of_a_minute_are_whole_and_the_others_one_counted_row(flood: Flood) -> None:
    ids = [flood.fail(user_agent=f"Browser/{number}") for number in range(WHOLE + 30)]
    rows = flood.rows()
    assert [row.event_id for row in rows] == ids[: WHOLE + 1]
    assert set(ids[WHOLE:]) == {rows[-1].event_id}
    assert {(row.folded_count, row.last_at, row.samples) for row in rows[:WHOLE]} == {(None, None, None)}
    counted = rows[-1]
    assert counted.folded_count == 30
    assert rows[-2].occurred_at <= counted.occurred_at < counted.last_at
    assert (counted.identity, counted.identity_hash) == (rows[0].identity, rows[0].identity_hash)
    assert (counted.ip, counted.outcome, counted.reason) == ("8.8.8.8", "failure", "wrong_password")
    assert (counted.user_agent, counted.geo_state) == (f"Browser/{WHOLE}", "pending")
    samples = samples_of(counted)
    assert [sample["user_agent"] for sample in samples] == [f"Browser/{WHOLE + number}" for number in range(5)]
    assert samples[0] | {"occurred_at": "", "user_agent": ""} == {
        **{"occurred_at": "", "ip": "8.8.8.8", "identity": "ann@example.org", "user_agent": ""},
        **{"reason": "wrong_password", "method": None},
    }
    assert samples[0]["occurred_at"] == counted.occurred_at.isoformat()


def test_count_goes_on_over_many_drains(flood: Flood) -> None:
    for _ in range(WHOLE + 1):
        flood.fail()
    (first,) = flood.counted()
    for _ in range(3):
        flood.fail()
        flood.fail()
        (counted,) = flood.counted()
    assert (counted.id, counted.folded_count, counted.occurred_at) == (first.id, 7, first.occurred_at)
    assert counted.last_at > first.last_at == first.occurred_at
    assert counted.position > first.position
    assert len(samples_of(counted)) == 1, "samples differ in more than their time"


def test_next_minute_begins_anew(flood: Flood) -> None:
    for _ in range(2):
        for _ in range(WHOLE + 2):
            flood.fail()
        flood.clock.now += 60
    assert [row.folded_count for row in flood.rows()] == [*[None] * WHOLE, 2, *[None] * WHOLE, 2]


def test_nothing_is_folded_when_the_guard_is_off(sqlite_url: str, tmp_path: Path) -> None:
    flood = Flood(sqlite_url, tmp_path, whole=0)
    for _ in range(600):
        flood.fail()
    assert len(flood.rows()) == 600
    assert flood.counted() == []
    close_host(flood.app)


@pytest.mark.parametrize("outcome", ["success", "challenge", "blocked"])
def test_only_failures_are_ever_folded(small_flood: Flood, outcome: str) -> None:
    for _ in range(FLOOD_ROWS_PER_SECOND + WHOLE):
        small_flood.fail(success=None, outcome=outcome)
        small_flood.fail()
    rows = small_flood.rows()
    assert sum(row.outcome == outcome for row in rows) == FLOOD_ROWS_PER_SECOND + WHOLE
    assert [row.outcome for row in small_flood.counted()] == ["failure"]


def test_message_is_never_folded(small_flood: Flood) -> None:
    with small_flood.app.app_context():
        ids = {
            small_flood.state.recorder.record_message("sms", {"receiver": "+16471231111", "success": False})
            for _ in range(600)
        }
    assert len(ids) == 600


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("203.0.113.7", "203.0.113.250", True),
        ("203.0.113.7", "203.0.114.7", False),
        ("2001:db8:1::7", "2001:db8:1:ffff:ffff::1", True),
        ("2001:db8:1::7", "2001:db8:2::7", False),
        ("2001:db8::1", "2001:db8:0:5::1", True),
        ("::1", "0:0:1::1", False),
        ("1::", "0:0:0:1::", False),
        (None, None, True),
        (None, "203.0.113.7", False),
    ],
)
def test_addresses_of_one_network_are_counted_together(one: str | None, other: str | None, is_same: bool) -> None:
    assert (network_of(one) == network_of(other)) is is_same


def test_other_names_networks_and_events_are_counted_apart(small_flood: Flood) -> None:
    groups: list[dict[str, Any]] = [
        *({}, {"identity": "bob@example.org"}, {"ip": "8.8.9.8"}, {"event": "recovery"}),
        *({"identity": None}, {"identity": None, "user_id": 7}, {"identity": None, "user_id": 8}),
    ]
    for number in range(WHOLE + 3):
        for fields in groups:
            small_flood.fail(**{"ip": f"8.8.8.{number}"} | fields)
        small_flood.fail(identity=" ANN@example.org", ip=f"8.8.8.{number + 100}")
    assert [row.folded_count for row in small_flood.counted()] == [2 * (WHOLE + 3) - WHOLE, *[3] * (len(groups) - 1)]


def test_failures_above_the_rate_go_into_the_total_row_of_their_minute(flood: Flood) -> None:
    people = FLOOD_ROWS_PER_SECOND + 100
    for _ in range(2):
        for number in range(people):
            flood.fail(identity=f"user{number}@example.org", ip=f"8.{number // 250}.{number % 250}.8", user_id=number)
        flood.clock.now += 1
    rows = flood.rows()
    assert sum_attempts(rows) == 2 * people
    assert len(rows) == FLOOD_ROWS_PER_SECOND * 2 + 1
    (total,) = flood.counted()
    assert (total.folded_count, total.marks) == (200, "flood:total")
    assert {total.ip, total.identity, total.identity_hash, total.user_id, total.user_agent} == {None}
    assert (total.event, total.outcome, total.geo_state) == ("sign_in", "failure", "not_applicable")
    assert total.last_at > total.occurred_at
    assert [sample["identity"] for sample in samples_of(total)] == [
        f"user{number}@example.org" for number in range(FLOOD_ROWS_PER_SECOND, FLOOD_ROWS_PER_SECOND + 5)
    ]


def test_keys_are_bounded_and_what_is_beyond_them_is_counted(sqlite_url: str, tmp_path: Path) -> None:
    """Whoever invents names by the thousand gets one row for all of them, and evicts nobody's."""
    flood = Flood(sqlite_url, tmp_path, whole=1)
    known = 400
    for number in range(MOST_KEYS + 300):
        flood.fail(identity=f"user{number}@example.org")
        if number % known == known - 1:
            flood.clock.now += 1
    flood.clock.now += 1
    assert flood.clock.now < 7260, "all in one minute"
    for _ in range(7):
        flood.fail(identity="user0@example.org")
        flood.fail(identity="late@example.org")
        flood.fail(identity="late@example.org", event="recovery")
    rows = flood.rows()
    assert sum_attempts(rows) == MOST_KEYS + 300 + 21
    assert {(row.identity, row.event, row.marks): row.folded_count for row in flood.counted()} == {
        (None, "sign_in", "flood:total"): 307,
        (None, "recovery", "flood:total"): 7,
        ("user0@example.org", "sign_in", None): 7,
    }
    close_host(flood.app)


def test_counted_row_with_room_takes_its_failures_above_the_rate_too(small_flood: Flood) -> None:
    for _ in range(WHOLE + 1):
        small_flood.fail()
    for number in range(FLOOD_ROWS_PER_SECOND):
        small_flood.fail(identity=f"user{number}@example.org")
    for _ in range(9):
        small_flood.fail()
    assert [(row.folded_count, row.marks) for row in small_flood.counted()] == [(10, None), (21, "flood:total")]


def test_success_hidden_among_failures_is_whole_and_found_by_who_it_was(flood: Flood) -> None:
    for number in range(1500):
        flood.fail(identity=f"user{number % 40}@example.org", ip=f"8.8.{number % 50}.8")
    event_id = flood.fail(success=True, reason=None, ip="8.8.49.8", user_id=7, method="password")
    for number in range(1500):
        flood.fail(identity=f"user{number % 40}@example.org", ip=f"8.8.{number % 50}.8")
    assert sum_attempts(flood.rows()) == 3001
    table = TABLES["sign-in"]
    with flood.state.database.read() as connection:
        (row,) = connection.execute(
            select(table).where(table.c.identity == "ann@example.org", table.c.outcome == "success")
        )
    assert (row.event_id, row.user_id, row.method, row.ip) == (event_id, "7", "password", "8.8.49.8")
    assert row.folded_count is None


@pytest.mark.parametrize("fields", [{"user_id": 7}, {"account_known": False, "reason": "unknown_account"}])
def test_known_and_unknown_accounts_cost_the_same_appends(small_flood: Flood, fields: dict[str, Any]) -> None:
    """So that the time of a sign-in does not tell which accounts there are."""
    for number in range(WHOLE * 3):
        small_flood.fail(**fields)
        assert small_flood.state.spool.waiting().entries == number + 1


def test_what_a_hook_sees_of_a_folded_attempt_is_not_written(flood: Flood) -> None:
    @flood.app.get("/try")
    def attempt() -> str:
        recorder = flood.state.recorder
        event_id = recorder.record_sign_in({"identity": "ann@example.org", "success": False})
        signals.sign_in_attempted.send(flood.app, user_id=7, method="password")
        return str(event_id)

    client = flood.app.test_client()
    ids = [client.get("/try").text for _ in range(WHOLE + 4)]
    rows = flood.rows()
    assert [(row.event_id, row.user_id) for row in rows] == [*((id, "7") for id in ids[:WHOLE]), (ids[-1], None)]
    assert rows[-1].folded_count == 4


def test_attempts_that_signals_tell_are_folded_when_the_request_ends(small_flood: Flood) -> None:
    @small_flood.app.get("/try")
    def attempt() -> str:
        signals.sign_in_attempted.send(small_flood.app, identity="ann@example.org", outcome="failure")
        signals.sign_in_attempted.send(small_flood.app, method="password")
        return ""

    client = small_flood.app.test_client()
    for _ in range(WHOLE + 4):
        client.get("/try")
    (counted,) = small_flood.counted()
    assert (counted.folded_count, counted.method) == (4, "password")


def test_signal_says_which_attempts_were_folded(small_flood: Flood) -> None:
    heard: list[tuple[str, bool]] = []

    def listen(app: Any, event_id: str, folded: bool, **more: Any) -> None:
        heard.append((event_id, folded))

    with signals.entry_recorded.connected_to(listen, sender=small_flood.app):
        ids = [small_flood.fail() for _ in range(WHOLE + 2)]
    assert heard == [(id, number >= WHOLE) for number, id in enumerate(ids)]


def test_clean_in_the_middle_of_a_minute_loses_no_later_count(small_flood: Flood) -> None:
    for _ in range(WHOLE + 2):
        small_flood.fail()
    assert len(small_flood.rows()) == WHOLE + 1
    with small_flood.state.database.transaction() as connection:
        connection.execute(TABLES["sign-in"].delete())
    with small_flood.state.database.write() as connection:
        for name in ("total", "hourly_total", "country_total"):
            connection.exec_driver_sql(f"DELETE FROM melody_{name}")
    for _ in range(3):
        small_flood.fail()
    (row,) = small_flood.rows()
    assert (row.folded_count, row.outcome, row.identity, row.samples) == (3, "failure", None, None)
