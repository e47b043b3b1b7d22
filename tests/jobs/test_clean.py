"""Clean-ups: exactly what is too old goes, in windows, once, and the receipt says so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError

from melody_logs.jobs import clean
from melody_logs.jobs.clean import (
    enforce_retention,
    find_job,
    list_jobs,
    preview_clean,
    request_clean,
    sweep_jobs,
    work_on_job,
)
from melody_logs.setting_types import RetentionPolicy
from melody_logs.storage.database import Database
from melody_logs.storage.job_rows import add_job
from melody_logs.storage.models import CountryTotal, HourlyTotal, Job
from melody_logs.storage.queries import Filters, count_rows
from tests.storage.rows import assert_totals_match, make_database, message, read_all, sign_in, write


@pytest.fixture
def database(database_url: str) -> Database:
    """4,000 sign-ins in four ages (0, 10, 20, 30 days) and two messages."""
    database = make_database(database_url)
    for days in (30, 20, 10, 0):
        rows = [sign_in(event="sign_in" if number % 3 else "sign_out", country="CA") for number in range(1000)]
        write(database, *rows, age=timedelta(days=days))
    write(database, message(), age=timedelta(days=40))
    write(database, message())
    return database


def ago(database: Database, days: float) -> datetime:
    with database.read() as connection:
        return database.now(connection) - timedelta(days=days)


def test_clean_removes_what_the_preview_said(database: Database) -> None:
    cutoff = ago(database, 15)
    preview = preview_clean(database, "sign-in", cutoff)
    assert preview.rows == 2000
    assert preview.oldest_at is not None and preview.newest_at is not None
    assert preview.oldest_at < preview.newest_at < cutoff
    job = work_on_job(database, request_clean(database, "sign-in", cutoff, actor="ann").id, budget_seconds=5)
    assert (job.state, job.done_rows, job.done_bytes, job.percent) == ("finished", 2000, preview.bytes, 100)
    assert count_rows(database, "sign-in", Filters(events=None)) == 2000
    assert min(row.recorded_at for row in read_all(database, "sign-in")) >= cutoff
    assert len(read_all(database, "email")) == 2
    assert_totals_match(database)


def test_row_exactly_at_the_cutoff_stays(database: Database) -> None:
    oldest = read_all(database, "sign-in")[0].recorded_at
    assert preview_clean(database, "sign-in", oldest).rows == 0
    assert preview_clean(database, "sign-in", oldest + timedelta(microseconds=1)).rows == 1000


def test_clean_with_nothing_to_delete_is_finished_at_once(database: Database) -> None:
    job = request_clean(database, "sms", ago(database, 1), actor="ann")
    assert (job.state, job.total_rows, job.percent) == ("finished", 0, 100)


def test_second_request_gets_the_active_job(database: Database) -> None:
    first = request_clean(database, "sign-in", ago(database, 15), actor="ann")
    second = request_clean(database, "sign-in", ago(database, 5), actor="bob")
    assert second == first
    assert len(list_jobs(database, kind="sign-in")) == 1
    assert request_clean(database, "email", ago(database, 5), actor="bob").id != first.id


def test_requests_at_the_same_moment_make_one_job(database: Database) -> None:
    cutoff = ago(database, 15)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(request_clean, database, "sign-in", cutoff, actor=f"admin {n}") for n in range(4)]
        assert len({job.result().id for job in jobs}) == 1


def test_several_workers_on_one_job_delete_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "FIRST_WINDOW", 100)
    monkeypatch.setattr(clean, "LARGEST_WINDOW", 100)
    job = request_clean(database, "sign-in", ago(database, 15), actor="ann")
    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(work_on_job, database, job.id, budget_seconds=30) for _ in range(3)]:
            future.result()
    job = work_on_job(database, job.id, budget_seconds=30)
    assert (job.state, job.done_rows) == ("finished", 2000)
    assert_totals_match(database)


def test_budget_leaves_the_rest_to_the_next(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "FIRST_WINDOW", 500)
    job = work_on_job(database, request_clean(database, "sign-in", ago(database, 15), actor="ann").id, budget_seconds=0)
    assert job.is_active
    assert 0 < job.done_rows < 2000
    assert job.lease_owner is None
    assert 0 < job.percent < 100
    assert_totals_match(database)
    (job,) = sweep_jobs(database, budget_seconds=30)
    assert (job.state, job.done_rows) == ("finished", 2000)


def test_job_of_a_dead_worker_goes_on_when_its_lease_ends(database: Database) -> None:
    job = request_clean(database, "sign-in", ago(database, 15), actor="ann")
    with database.transaction() as connection:
        now = database.now(connection)
        dead = {"state": "running", "lease_owner": "dead", "lease_until": now + timedelta(seconds=30)}
        connection.execute(update(Job).where(Job.id == job.id).values(dead))
    assert work_on_job(database, job.id, budget_seconds=5).done_rows == 0
    with database.transaction() as connection:
        connection.execute(update(Job).where(Job.id == job.id).values(lease_until=now - timedelta(seconds=1)))
    assert work_on_job(database, job.id, budget_seconds=5).done_rows == 2000


def test_rows_whose_ids_do_not_follow_the_clock_go_too(database: Database) -> None:
    write(database, sign_in(), age=timedelta(days=25))
    job = request_clean(database, "sign-in", ago(database, 15), actor="ann")
    job = work_on_job(database, job.id, budget_seconds=5)
    assert (job.done_rows, job.total_rows) == (2001, 2001)
    assert_totals_match(database)


def test_job_that_cannot_go_on_says_why_and_fails_after_five_attempts(database: Database) -> None:
    job = request_clean(database, "sign-in", ago(database, 15), actor="ann")
    prefix = "melody_logs." if database.dialect_name == "postgresql" else ""
    with database.transaction() as connection:
        connection.execute(text(f"ALTER TABLE {prefix}melody_country_total RENAME TO gone"))
    for attempt in range(1, 6):
        assert job.is_active
        job = work_on_job(database, job.id, budget_seconds=5)
        assert job.attempts == attempt
        assert job.error and "flask melody-logs db upgrade" in job.error
    assert (job.state, job.done_rows) == ("failed", 0)
    with database.transaction() as connection:
        connection.execute(text(f"ALTER TABLE {prefix}gone RENAME TO melody_country_total"))
    again = request_clean(database, "sign-in", ago(database, 15), actor="ann")
    assert again.id != job.id
    assert work_on_job(database, again.id, budget_seconds=5).done_rows == 2000
    assert_totals_match(database)


def test_policy_orders_its_clean_up_once_an_hour(database: Database) -> None:
    policies = [RetentionPolicy("sign-in", 15), RetentionPolicy("email", 30), RetentionPolicy("sms", 1)]
    jobs = enforce_retention(database, policies)
    assert [(job.kind, job.policy, job.total_rows) for job in jobs] == [
        ("sign-in", "sign-in older than 15 days", 2000),
        ("email", "email older than 30 days", 1),
    ]
    assert [job.state for job in sweep_jobs(database, budget_seconds=10)] == ["finished"] * 2
    write(database, message(), age=timedelta(days=40))
    assert enforce_retention(database, policies) == []
    with database.transaction() as connection:
        connection.execute(update(Job).values(created_at=ago(database, 1)))
    assert [job.kind for job in enforce_retention(database, policies)] == ["email"]


def test_long_job_leaves_time_for_the_others(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "FIRST_WINDOW", 1)
    monkeypatch.setattr(clean, "SMALLEST_WINDOW", 1)
    monkeypatch.setattr(clean, "LARGEST_WINDOW", 1)
    long = request_clean(database, "sign-in", ago(database, 5), actor="ann")
    short = request_clean(database, "email", ago(database, 5), actor="ann")
    # Where one window of a busy machine takes longer than the whole budget, the next sweep has more.
    jobs = next(jobs for seconds in (0.5, 1, 2) if short.id in (jobs := sweep_by_id(database, seconds)))
    assert (jobs[long.id].is_active, jobs[short.id].state) == (True, "finished")


def sweep_by_id(database: Database, budget_seconds: float) -> dict[int, clean.JobRow]:
    return {job.id: job for job in sweep_jobs(database, budget_seconds=budget_seconds)}


def test_totals_of_days_without_rows_go_too(database: Database) -> None:
    work_on_job(database, request_clean(database, "sign-in", ago(database, 15), actor="ann").id, budget_seconds=9)
    with database.read() as connection:
        for total in (HourlyTotal, CountryTotal):
            assert connection.scalar(select(func.count()).where(total.rows == 0)) == 0


def test_job_that_the_database_refuses_is_not_tried_for_ever(database: Database) -> None:
    missing = dict.fromkeys(("state", "actor", "cutoff", "last_id", "total_rows", "created_at"))
    with pytest.raises(IntegrityError):
        add_job(database, {"kind": "sms", "action": "clean", **missing})


def test_unknown_job_is_an_error(database: Database) -> None:
    with pytest.raises(LookupError, match="no job 99"):
        work_on_job(database, 99, budget_seconds=1)
    assert find_job(database, 2**63) is None
