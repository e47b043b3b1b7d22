"""Deletes: what goes, what stays, what is refused, and what takes longer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import update

from melody_logs.api import cleanups
from melody_logs.api.parameters import parse_instant
from melody_logs.jobs.clean import list_jobs, request_clean
from melody_logs.storage.models import MODELS, Job
from melody_logs.vocabulary import KINDS, Kind
from tests.api.conftest import Api, assert_problem
from tests.storage.rows import assert_totals_match, message, read_all, sign_in, write

DAY = timedelta(days=1)


def text_of(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def days_ago(count: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=count)


@pytest.mark.parametrize("kind", KINDS)
def test_delete_removes_what_is_older_and_nothing_else(api: Api, kind: Kind) -> None:
    for age in (40, 20, 5):
        write(api.database, sign_in() if kind == "sign-in" else message(kind), age=age * DAY)
    response = api.delete(f"/{kind}?before={text_of(days_ago(10))}")
    assert (response.status_code, response.get_data()) == (204, b"")
    assert response.headers["Cache-Control"] == "no-store"
    assert [row.id for row in read_all(api.database, kind)] == [3]
    assert api.get(f"/{kind}").json["count"] == 1  # type: ignore[index]
    assert_totals_match(api.database)


def test_row_exactly_at_the_cutoff_stays(api: Api) -> None:
    write(api.database, message(), age=3 * DAY)
    recorded = read_all(api.database, "email")[0].recorded_at
    assert api.delete(f"/email?before={text_of(recorded)}").status_code == 204
    assert len(read_all(api.database, "email")) == 1
    assert api.delete(f"/email?before={text_of(recorded + timedelta(microseconds=1))}").status_code == 204
    assert read_all(api.database, "email") == []


def test_offset_of_the_cutoff_is_converted(api: Api) -> None:
    write(api.database, message(), age=10 * DAY)
    recorded = read_all(api.database, "email")[0].recorded_at
    at_place = (recorded + timedelta(hours=13, minutes=59)).strftime("%Y-%m-%dT%H:%M:%S.%f")
    assert api.delete(f"/email?before={at_place}%2B14:00").status_code == 204
    assert len(read_all(api.database, "email")) == 1
    assert api.delete(f"/email?before={at_place}%2B13:00").status_code == 204
    assert read_all(api.database, "email") == []


@pytest.mark.parametrize(
    "before",
    [
        "", "9", "1", "2026", "foo 2", "foo", "2025-01-03", "2025-01-03T01:02:03", "2025-01-03 01:02:03Z",
        "2025-01-03T01:02Z", "2025-1-3T01:02:03Z", "2025-02-30T00:00:00Z", "2025-13-01T00:00:00Z",
        "2025-01-03T24:00:00Z", "2025-01-03T01:02:60Z", "2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2025-01-03T01:02:03+24:00",
        "2025-01-03T01:02:03+01:60", "2025-01-03T01:02:03+0100", "2025-01-03T01:02:03.Z", "2025-01-03T01:02:03,5Z",
        " 2025-01-03T01:02:03Z", "2025-01-03T01:02:03Z\n", "2025-01-03T01:02:03Z\0", "٢٠٢٥-01-03T01:02:03Z",
        "1735866123", "-2025-01-03T01:02:03Z", "2025-W01-5T01:02:03Z", "now", "2025-01-03T01:02:03 UTC",
    ],
)  # fmt: skip
def test_cutoff_that_is_no_strict_instant_deletes_nothing(sqlite_api: Api, before: str) -> None:
    write(sqlite_api.database, message(), age=900 * DAY)
    for extra in ("", "&allow_recent=true"):
        assert_problem(sqlite_api.delete(f"/email?before={quote(before)}{extra}"), 400, "before")
    assert len(read_all(sqlite_api.database, "email")) == 1


def test_cutoff_may_be_written_in_every_way_of_the_standard() -> None:
    """RFC 3339, section 5.6: letters in any case, fractions of any length, offsets."""
    same = datetime(2025, 1, 3, 1, 2, 3, tzinfo=UTC)
    for text in ("2025-01-03T01:02:03Z", "2025-01-03t01:02:03z", "2025-01-03T01:02:03.000000000Z"):
        assert parse_instant(text) == same
    for text in ("2025-01-03T15:02:03+14:00", "2025-01-02T19:32:03-05:30", "2025-01-03T01:02:03-00:00"):
        assert parse_instant(text) == same
    assert parse_instant("2025-01-03T01:02:03.1234569Z").microsecond == 123456


def test_unescaped_plus_is_explained(sqlite_api: Api) -> None:
    problem = assert_problem(sqlite_api.delete("/email?before=2025-01-03T01:02:03+01:00"), 400, "before")
    assert '"+" is written %2B' in problem["errors"][0]["detail"]


@pytest.mark.parametrize("query", ["", "allow_recent=true"])
def test_missing_cutoff_deletes_nothing(sqlite_api: Api, query: str) -> None:
    write(sqlite_api.database, message(), age=900 * DAY)
    assert_problem(sqlite_api.delete(f"/email?{query}"), 400, "before")
    assert len(read_all(sqlite_api.database, "email")) == 1


@pytest.mark.parametrize(
    ("query", "name"),
    [("before=2025-01-03T01:02:03Z", "before"), ("force=1", "force"), ("allow_recent=1", "allow_recent")],
)
def test_doubled_unknown_or_bad_parameter_deletes_nothing(sqlite_api: Api, query: str, name: str) -> None:
    write(sqlite_api.database, message(), age=900 * DAY)
    assert_problem(sqlite_api.delete(f"/email?before=2025-01-03T01:02:03Z&{query}"), 400, name)
    assert len(read_all(sqlite_api.database, "email")) == 1


def test_ancient_cutoff_deletes_nothing(api: Api) -> None:
    """Years of fewer than four digits sort before the others on every database."""
    write(api.database, message(), age=900 * DAY)
    for before in ("0001-01-02T00:00:00Z", "0300-01-01T00:00:00Z", "1969-12-31T23:59:59Z"):
        assert api.delete(f"/email?before={before}").status_code == 204
    assert len(read_all(api.database, "email")) == 1


def test_recent_cutoff_is_refused_unless_it_is_meant(api: Api) -> None:
    write(api.database, message(), age=DAY / 2)
    for cutoff, words in ((days_ago(0.9), "less than 24 hours ago"), (days_ago(-1), "in the future")):
        problem = assert_problem(api.delete(f"/email?before={text_of(cutoff)}"), 409, "before")
        assert words in problem["detail"] and "allow_recent=true" in problem["detail"]
    assert_problem(api.delete("/email?before=9999-12-31T23:59:59Z&allow_recent=false"), 409, "before")
    assert len(read_all(api.database, "email")) == 1
    assert api.delete(f"/email?before={text_of(days_ago(0))}&allow_recent=true").status_code == 204
    assert read_all(api.database, "email") == []


def test_delete_leaves_a_receipt_with_the_client(api: Api) -> None:
    write(api.database, message(), age=10 * DAY)
    api.delete(f"/email?before={text_of(days_ago(5))}", scope="write_log")
    (job,) = list_jobs(api.database)
    assert (job.state, job.done_rows, job.kind) == ("finished", 1, "email")
    assert job.actor.startswith("client mlc_")


def test_long_delete_is_accepted_and_ends_by_polling(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a worker, whoever polls does the work."""
    monkeypatch.setattr(cleanups, "DELETE_SECONDS", 0.0)
    write(api.database, *[message() for _ in range(50)], age=10 * DAY)
    cutoff = text_of(days_ago(5))
    response = api.delete(f"/email?before={cutoff}")
    assert (response.status_code, response.content_type) == (202, "application/json")
    started: Any = response.json
    assert set(started) == {
        "id", "kind", "state", "before", "totalRows", "doneRows", "percent", "createdAt", "startedAt", "finishedAt",
    }  # fmt: skip
    assert response.headers["Location"] == f"/api/v1/logs/cleanups/{started['id']}"
    assert (started["kind"], started["state"], started["before"]) == ("email", "queued", cutoff)
    assert (started["totalRows"], started["percent"], started["finishedAt"]) == (50, 0, None)
    done: Any = api.get(f"/cleanups/{started['id']}").json
    assert (done["state"], done["doneRows"], done["percent"]) == ("finished", 50, 100)
    assert done["finishedAt"].endswith("Z")
    assert read_all(api.database, "email") == []


def test_same_delete_twice_is_one_job(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanups, "DELETE_SECONDS", 0.0)
    write(api.database, message(), age=10 * DAY)
    paths = [f"/email?before={text_of(days_ago(days))}" for days in (5, 6)]
    locations = {api.delete(path).headers["Location"] for path in paths}
    assert len(locations) == 1
    assert len(list_jobs(api.database)) == 1


def test_earlier_clean_up_is_finished_first(api: Api) -> None:
    write(api.database, message(), age=10 * DAY)
    write(api.database, message(), age=6 * DAY)
    request_clean(api.database, "email", days_ago(8), actor="somebody")
    assert api.delete(f"/email?before={text_of(days_ago(4))}").status_code == 204
    assert read_all(api.database, "email") == []
    assert [job.state for job in list_jobs(api.database)] == ["finished", "finished"]


def test_delete_behind_an_earlier_clean_up_that_lasts_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 202 would promise that the rows go, though nothing was ordered."""
    monkeypatch.setattr(cleanups, "DELETE_SECONDS", 0.3)
    write(api.database, message(), age=10 * DAY)
    write(api.database, message(), age=6 * DAY)
    job = request_clean(api.database, "email", days_ago(8), actor="somebody")
    table: Any = Job.__table__
    with api.database.transaction() as connection:
        lease = {"lease_owner": "another", "lease_until": datetime.now(UTC) + DAY, "state": "running"}
        connection.execute(update(table).values(lease))
    response = api.delete(f"/email?before={text_of(days_ago(4))}")
    problem = assert_problem(response, 409)
    assert (problem["cleanup"], response.headers["Retry-After"]) == (job.id, "5")
    assert len(read_all(api.database, "email")) == 2


def test_unknown_clean_up_is_not_found(api: Api) -> None:
    for job_id in ("1", "0", "abc", "-1", "9223372036854775808"):
        assert_problem(api.get(f"/cleanups/{job_id}"), 404)


def test_delete_without_rows_is_done_at_once(api: Api) -> None:
    for kind in MODELS:
        assert api.delete(f"/{kind}?before=2025-01-03T01:02:03Z").status_code == 204
