"""No row stops an import, whatever is in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.importing.conftest import Host
from tests.importing.sources import DETAIL, Source, message, sign_in
from tests.importing.test_import import numbers
from tests.storage.rows import assert_totals_match


@pytest.mark.parametrize(
    "created_at", ["", "yesterday", "2025-13-40 00:00:00", "0001-01-01 00:00:00", "9999-12-31", "1741964966"]
)
def test_time_that_is_none_becomes_that_of_the_import(created_at: str, source: Source, host: Host) -> None:
    source.insert("sms_log", [message(createdAt=created_at)])
    assert numbers(host.import_from(source), "SMS") == [1, 1, 0, 0, 0, 0]
    (row,) = host.rows("sms")
    assert row.marks == "entry:imported occurred_at:invalid"
    assert datetime.now(UTC) - row.recorded_at < timedelta(minutes=1)
    assert datetime.now(UTC) - row.occurred_at < timedelta(minutes=1)


@pytest.mark.parametrize(
    "created_at",
    ["2025-03-14T15:09:26Z", "2025-03-14T15:09:26.000Z", "2025-03-14T16:09:26+01:00", "2025-03-14 15:09:26 "],
)
def test_other_forms_of_a_time_are_read(created_at: str, sqlite_source: Source, sqlite_host: Host) -> None:
    sqlite_source.insert("sms_log", [message(createdAt=created_at)])
    sqlite_host.import_from(sqlite_source)
    assert sqlite_host.rows("sms")[0].recorded_at == datetime(2025, 3, 14, 15, 9, 26, tzinfo=UTC)


@pytest.mark.parametrize(
    "detail", ["{", "[]", "null", "7", '"text"', "[" * 100_000, '{"latitude":' + "9" * 9_000 + "}", '{"a":' * 1_500]
)
def test_broken_detail_costs_only_the_place(detail: str, source: Source, host: Host) -> None:
    source.insert("sign_in_log", [sign_in(detail=detail)])
    host.import_from(source)
    (row,) = host.rows("sign-in")
    assert (row.geo_state, row.country, row.marks) == ("pending", None, "entry:imported detail:invalid")


@pytest.mark.parametrize(
    ("part", "column"),
    [
        ({"latitude": "north"}, "latitude"),
        ({"longitude": 1e9}, "longitude"),
        ({"region": "x\x00y"}, "region"),
        ({"region": ["a"]}, "region"),
        ({"regionCode": "much too long"}, "region_code"),
        ({"timezone": 7}, "timezone"),
    ],
)
def test_part_of_a_place_that_is_none_is_left_out(
    part: dict[str, Any], column: str, sqlite_source: Source, sqlite_host: Host
) -> None:
    sqlite_source.insert("sign_in_log", [sign_in(detail=json.dumps(DETAIL | part))])
    sqlite_host.import_from(sqlite_source)
    (row,) = sqlite_host.rows("sign-in")
    assert getattr(row, column) is None
    assert (row.country, row.geo_state) in [("NL", "done"), (None, "pending")]


def test_place_without_a_country_is_looked_up(sqlite_source: Source, sqlite_host: Host) -> None:
    sqlite_source.insert("sign_in_log", [sign_in(detail=json.dumps(DETAIL | {"country": "T1"}))])
    sqlite_host.import_from(sqlite_source)
    assert sqlite_host.rows("sign-in")[0].geo_state == "pending"


@pytest.mark.parametrize(
    ("user_id", "expected"), [(0, (None, False)), (-3, ("-3", True)), (2**31 - 1, ("2147483647", True))]
)
def test_user_ids_stay_numbers(user_id: int, expected: tuple[Any, bool], source: Source, host: Host) -> None:
    source.insert("sign_in_log", [sign_in(userId=user_id)])
    host.import_from(source)
    (row,) = host.rows("sign-in")
    assert (row.user_id, row.user_id_is_integer) == expected


def test_address_that_is_none_is_left_out(sqlite_source: Source, sqlite_host: Host) -> None:
    sqlite_source.insert("sign_in_log", [sign_in(ip="unknown"), sign_in(ip="2001:DB8::0001"), sign_in(ip=None)])
    sqlite_host.import_from(sqlite_source)
    rows = sqlite_host.rows("sign-in")
    assert [row.ip for row in rows] == [None, "2001:db8::1", None]
    assert [row.marks for row in rows] == ["entry:imported ip:invalid", "entry:imported", "entry:imported"]


def test_ids_may_be_negative(source: Source, host: Host) -> None:
    source.insert("sms_log", [message(id=number, content=str(number)) for number in (-(2**31), -5, 0, 3, 2**31 - 1)])
    assert numbers(host.import_from(source), "SMS") == [5, 5, 0, 0, 0, 0]
    assert [row.content for row in host.rows("sms")] == [str(number) for number in (-(2**31), -5, 0, 3, 2**31 - 1)]
    assert numbers(host.import_from(source), "SMS") == [0, 0, 0, 0, 0, 0]


def test_huge_body_is_cut_and_a_secret_at_the_cut_is_removed(source: Source, host: Host) -> None:
    """The body is longer than what is read of it at all."""
    limit = 256 * 1024
    secret = "https://auth.example.org/reset?token=Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA"
    body = "<p>" + "é" * (limit // 2 - 30) + f" {secret} " + "x" * 3_000_000
    source.insert("email_log", [message(content=body)])
    host.import_from(source)
    (row,) = host.rows("email")
    assert len(row.content.encode()) <= limit and row.content_bytes == len(body.encode())
    assert "Zm9v" not in row.content
    assert {"content:cut", "content:redacted"} <= set(row.marks.split())
    assert_totals_match(host.database)


def test_any_value_of_sqlite_is_read(sqlite_source: Source, host: Host) -> None:
    """SQLite keeps bytes, numbers and broken text in a text column."""
    sqlite_source.insert(
        "sms_log",
        [
            message(content=b"ol\xe9 \xff", receiver=b"+1647\x00123", success=None),
            message(content=42, receiver=None, response=None, success="yes", createdAt=None),
            message(content="a\x00b", receiver="x" * 5_000, success=2),
        ],
    )
    sqlite_source.execute("INSERT INTO sms_log (success, content) VALUES (1, CAST(x'c328' AS TEXT))")
    sqlite_source.insert("sign_in_log", [sign_in(userId=7.5), sign_in(userId="ann"), sign_in(userId=7.0)])
    output = host.import_from(sqlite_source)
    assert numbers(output, "SMS") == [4, 4, 0, 0, 0, 0] and numbers(output, "Sign-ins") == [3, 3, 0, 0, 0, 0]
    rows = host.rows("sms")
    assert [row.content for row in rows] == ["ol� �", "42", "a␀b", "�("]
    assert [row.status for row in rows] == ["unknown", "unknown", "unknown", "sent"]
    assert len(rows[2].receiver) == 320 and rows[0].receiver == "+1647␀123"
    assert [(row.user_id, row.user_id_is_integer) for row in host.rows("sign-in")] == [
        *[("7.5", False), ("ann", False), ("7", True)]
    ]


def test_row_that_the_database_refuses_is_set_aside_and_named(sqlite_source: Source, sqlite_host: Host) -> None:
    with sqlite_host.database.transaction() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER refuse BEFORE INSERT ON melody_sms_log WHEN NEW.receiver = '+666' "
                "BEGIN SELECT RAISE(ABORT, 'this one not'); END"
            )
        )
    receivers = ["+1", "+666", "+3", "+666", "+5"]
    sqlite_source.insert("sms_log", [message(receiver=receiver) for receiver in receivers])
    output = sqlite_host.import_from(sqlite_source)
    assert numbers(output, "SMS") == [5, 3, 0, 0, 0, 2]
    assert "row 2 was set aside" in output and "row 4 was set aside" in output and "this one not" in output
    assert [row.receiver for row in sqlite_host.rows("sms")] == ["+1", "+3", "+5"]
    assert_totals_match(sqlite_host.database)


def test_version_without_user_ids_and_deletion_is_read(sqlite_source: Source, sqlite_host: Host) -> None:
    sqlite_source.execute("DROP TABLE sign_in_log")
    sqlite_source.execute(
        'CREATE TABLE sign_in_log ("id" integer PRIMARY KEY, "ip" text, "detail" text, "createdAt" text)'
    )
    sqlite_source.execute("INSERT INTO sign_in_log (ip, \"createdAt\") VALUES ('8.8.8.8', '2024-09-13 10:00:00')")
    sqlite_host.import_from(sqlite_source)
    assert [row.user_id for row in sqlite_host.rows("sign-in")] == [None]
