"""Writing: rows, amendments, positions and totals in one transaction."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DataError

from melody_logs.errors import StorageUnavailableError
from melody_logs.storage.database import Database
from melody_logs.storage.models import MODELS
from melody_logs.storage.queries import count_rows
from melody_logs.storage.retention import preview_clean
from melody_logs.storage.writer import find_known_events, write_rows
from tests.storage.rows import NOW, assert_totals_match, make_database, message, read_all, sign_in, write


@pytest.fixture
def database(database_url: str) -> Database:
    return make_database(database_url)


def test_ids_and_positions_rise_in_the_order_of_writing(database: Database) -> None:
    write(database, sign_in(identity="a"), sign_in(identity="b"))
    write(database, sign_in(identity="c"))
    rows = read_all(database, "sign-in")
    assert [row.identity for row in rows] == ["a", "b", "c"]
    assert [row.position for row in rows] == [1, 2, 3]
    assert [row.id for row in rows] == sorted({row.id for row in rows})
    assert_totals_match(database)


def test_times_come_back_exactly_and_in_utc(database: Database) -> None:
    write(database, sign_in(occurred_at=NOW + timedelta(microseconds=1)))
    (row,) = read_all(database, "sign-in")
    assert row.occurred_at == NOW + timedelta(microseconds=1)
    assert row.recorded_at.utcoffset() == timedelta()


def test_later_phase_amends_the_same_row_and_moves_its_position(database: Database) -> None:
    event_id = str(uuid.uuid4())
    write(database, message(event_id=event_id, status="pending", content="Hello", content_bytes=5))
    write(database, message())
    ended = message(event_id=event_id, status="sent", response="250 OK", receiver=None)
    write(database, type(ended)(ended.kind, ended.values, amends=True))
    rows = read_all(database, "email")
    assert len(rows) == 2
    assert (rows[0].status, rows[0].response, rows[0].receiver) == ("sent", "250 OK", "ann@example.org")
    assert (rows[0].content, rows[0].content_bytes) == ("Hello", 5)
    assert (rows[0].version, rows[0].position) == (2, 3)
    assert rows[0].recorded_at <= rows[1].recorded_at <= rows[0].updated_at
    assert_totals_match(database)


def test_late_earlier_phase_never_takes_a_message_back(database: Database) -> None:
    event_id = str(uuid.uuid4())
    for status, subject in (("delivered", None), ("pending", "Welcome"), ("sent", None)):
        row = message(event_id=event_id, status=status, subject=subject)
        write(database, type(row)(row.kind, row.values, amends=True))
    (row,) = read_all(database, "email")
    assert (row.status, row.subject) == ("delivered", "Welcome")
    assert_totals_match(database)


def test_phases_that_meet_in_one_batch_become_one_row(database: Database) -> None:
    event_id = str(uuid.uuid4())
    first = message("sms", event_id=event_id, status="pending", content="Hi")
    second = message("sms", event_id=event_id, status="failed", response="refused", content=None)
    write(database, first, type(second)(second.kind, second.values, amends=True), message("sms"))
    rows = read_all(database, "sms")
    assert [(row.status, row.content) for row in rows] == [("failed", "Hi"), ("sent", None)]
    assert [row.position for row in rows] == [1, 2]
    assert_totals_match(database)


def test_what_a_sign_in_said_explicitly_stays_when_a_hook_amends_it(database: Database) -> None:
    event_id = str(uuid.uuid4())
    write(database, sign_in(event_id=event_id, outcome="failure", reason="locked_account"))
    hook = sign_in(event_id=event_id, outcome="success", reason="wrong_password", user_id="7", user_id_is_integer=True)
    write(database, type(hook)(hook.kind, hook.values, amends=True))
    (row,) = read_all(database, "sign-in")
    assert (row.outcome, row.reason, row.user_id, row.user_id_is_integer) == ("failure", "locked_account", "7", True)
    assert_totals_match(database)


def test_address_that_comes_later_is_located(database: Database) -> None:
    event_id = str(uuid.uuid4())
    write(database, sign_in(event_id=event_id, ip=None, geo_state="not_applicable"))
    hook = sign_in(event_id=event_id, ip="8.8.8.8", geo_state="pending")
    write(database, type(hook)(hook.kind, hook.values, amends=True))
    (row,) = read_all(database, "sign-in")
    assert (row.ip, row.geo_state) == ("8.8.8.8", "pending")


@pytest.mark.parametrize("by_copy", [True, False])
def test_many_rows_keep_every_value_whichever_way_they_go(database: Database, by_copy: bool) -> None:
    """COPY has escapes of its own, which a text may look like; a row that lacks a column has NULL or the default."""
    texts = [
        "\\N",
        "N",
        "\\.",
        "a\tb",
        "a\nb",
        "a\r\nb",
        "\\\\t",
        "\\",
        "\t",
        "",
        " ",
        "NULL",
        "{}",
        "İ🎈\x07",
        '"quoted"',
        "\x85",
    ]
    given = [sign_in(identity=text, user_agent=None, marks=text + "\\N\t") for text in texts]
    given += [
        sign_in(identity="some", latitude=-0.1 * n, asn=n or None, user_id_is_integer=n % 2 == 0) for n in range(9)
    ]
    given += [sign_in(identity="many", country=country, occurred_at=NOW) for country in ("GB", "NL", None) * 9]
    with database.write() as connection:
        write_rows(connection, database.now(connection), given, by_copy=by_copy)
    rows = read_all(database, "sign-in")
    assert [row.position for row in rows] == list(range(1, len(given) + 1))
    for row, write_ in zip(rows, given, strict=True):
        assert {name: getattr(row, name) for name in write_.values} == write_.values
        assert (row.geo_state, row.geo_attempts, row.version, row.flow_id) == ("pending", 0, 1, None)
        assert row.user_id_is_integer is write_.values.get("user_id_is_integer", False)
    assert_totals_match(database)


def test_many_rows_go_by_copy_with_psycopg(postgresql_url: str) -> None:
    database = make_database(postgresql_url)
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    write(database, *(sign_in() for _ in range(100)))
    assert [words for words in said if "INTO melody_logs.melody_sign_in_log" in words] == []
    assert sum(words.startswith("COPY melody_logs.melody_sign_in_log (") for words in said) == 1


@pytest.mark.parametrize("wrong", [{"outcome": "x" * 17}, {"asn": "many"}, {"identity": "a\0b"}])
def test_wrong_value_among_many_is_an_error_of_the_data(postgresql_url: str, wrong: dict[str, Any]) -> None:
    """So that the drain looks for the entry instead of waiting for a better database; and the connection lives on."""
    database = make_database(postgresql_url)
    rows = [sign_in(), *(sign_in() for _ in range(30)), sign_in(**wrong)]
    with pytest.raises(DataError):
        write(database, *rows)
    assert read_all(database, "sign-in") == []
    write(database, *rows[:-1])
    assert_totals_match(database)


def test_failed_batch_leaves_no_row_no_total_and_no_position(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write() as connection:
            write_rows(connection, database.now(connection), [sign_in()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    write(database, sign_in())
    (row,) = read_all(database, "sign-in")
    assert row.position == 1
    assert count_rows(database, "sign-in") == 1
    assert_totals_match(database)


def test_the_id_of_a_deleted_newest_row_is_not_given_again(database: Database) -> None:
    write(database, sign_in())
    (row,) = read_all(database, "sign-in")
    with database.transaction() as connection:
        connection.execute(MODELS["sign-in"].__table__.delete())  # type: ignore[attr-defined]
    write(database, sign_in())
    assert read_all(database, "sign-in")[0].id > row.id


def test_row_may_bring_the_age_it_had(database: Database) -> None:
    """Beside one that is recorded now, each is counted in its own hour."""
    old = sign_in(identity="old")._replace(recorded_at=NOW - timedelta(days=400))
    write(database, old, sign_in(identity="new"))
    rows = {row.identity: row for row in read_all(database, "sign-in")}
    assert rows["old"].recorded_at == NOW - timedelta(days=400)
    assert rows["old"].updated_at == rows["new"].recorded_at > NOW
    assert preview_clean(database, "sign-in", NOW - timedelta(days=399)).rows == 1
    assert_totals_match(database)


def test_events_that_have_a_row_are_known(database: Database) -> None:
    rows = [sign_in() for _ in range(3)]
    write(database, *rows)
    ids = [row.values["event_id"] for row in rows]
    with database.read() as connection:
        assert find_known_events(connection, "sign-in", [*ids[1:], *(str(uuid.uuid4()) for _ in range(600))]) == {
            *ids[1:]
        }
        assert find_known_events(connection, "email", ids) == set()


def test_missing_tables_are_explained_with_the_command(database_url: str) -> None:
    from sqlalchemy.engine import make_url

    from melody_logs.storage.destination import Destination

    database = Database(lambda: Destination(make_url(database_url), None))
    with pytest.raises(StorageUnavailableError, match="flask melody-logs db upgrade"):
        count_rows(database, "email")
