"""Drain, clean-up, locating and expiry at once: no deadlock, no lost total, nothing deleted that is not old enough."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from melody_logs.jobs import clean
from melody_logs.jobs.clean import request_clean, work_on_job
from melody_logs.storage.database import Database
from melody_logs.storage.location_choice import LocationResult
from melody_logs.storage.location_results import write_locations
from melody_logs.storage.locations import claim_pending, forget_old_claims, release_claims
from melody_logs.storage.pending import expire_pending
from melody_logs.storage.writer import RowWrite
from tests.storage.rows import assert_totals_match, make_database, message, read_all, sign_in, write

BUSY_SECONDS = 3.0
OLD = timedelta(days=40)


@pytest.fixture
def database(database_url: str) -> Database:
    return make_database(database_url)


def drain_batch(database: Database, dice: random.Random, known: list[str]) -> None:
    """Write old and new rows of two kinds, and amend some that may be gone by now."""
    fresh = [str(uuid.uuid4()) for _ in range(8)]
    rows = [sign_in(event_id=event_id, outcome=dice.choice(["success", "failure"])) for event_id in fresh]
    rows += [message(event_id=event_id, status="pending") for event_id in fresh]
    for event_id in dice.sample(known, min(len(known), 12)):
        delivered = {"event_id": event_id, "occurred_at": rows[0].values["occurred_at"], "status": "delivered"}
        rows.append(RowWrite("email", delivered | {"response": "x" * dice.randrange(50)}, amends=True))
        rows.append(RowWrite("sign-in", sign_in(event_id=event_id, user_id="7").values, amends=True))
    write(database, *rows, age=dice.choice([OLD, timedelta()]))
    known[:] = known[-40:] + fresh


def clean_old(database: Database) -> None:
    for kind in ("sign-in", "email"):
        with database.read() as connection:
            cutoff = database.now(connection) - timedelta(days=30)
        work_on_job(database, request_clean(database, kind, cutoff, actor="test").id, budget_seconds=1)


def expire(database: Database) -> None:
    expire_pending(database, older_than=timedelta(days=1), limit=20)


def locate(database: Database, dice: random.Random) -> None:
    owner = str(uuid.uuid4())
    forget_old_claims(database)
    claims = claim_pending(database, limit=40, owner=owner, lease_seconds=dice.choice([0, 60]))
    if dice.random() < 0.2:
        release_claims(database, owner)
    elif claims:
        found = {claim.id: LocationResult("done", {"country": dice.choice(["CA", "JP"])}, "test") for claim in claims}
        write_locations(database, owner, found)


def test_totals_stay_exact_and_nothing_deadlocks(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every worker runs for three seconds beside the others; an error of any of them fails the test."""
    monkeypatch.setattr(clean, "FIRST_WINDOW", 20)
    monkeypatch.setattr(clean, "SMALLEST_WINDOW", 20)
    end = time.monotonic() + BUSY_SECONDS

    def repeat(work: Callable[[], None]) -> int:
        rounds = 0
        while time.monotonic() < end:
            work()
            rounds += 1
            # As real workers do; SQLite gives its lock to whoever asks first, not to who has waited longest.
            time.sleep(0.01)
        return rounds

    seen: list[list[str]] = [[], []]
    workers: list[Callable[[], None]] = [
        lambda: drain_batch(database, random.Random(), seen[0]),
        lambda: drain_batch(database, random.Random(), seen[1]),
        lambda: clean_old(database),
        lambda: clean_old(database),
        lambda: locate(database, random.Random()),
        lambda: locate(database, random.Random()),
        lambda: expire(database),
    ]
    with ThreadPoolExecutor(len(workers)) as pool:
        futures = [pool.submit(repeat, work) for work in workers]
        assert all(future.result() for future in futures)
    assert {job.state for job in clean.list_jobs(database)} <= {"finished", "running", "queued"}
    assert [job.error for job in clean.list_jobs(database) if job.error] == []
    assert_totals_match(database)
    clean_old(database)
    assert_totals_match(database)
    new = [row for kind in ("sign-in", "email") for row in read_all(database, kind)]
    assert new and all(row.recorded_at > row.updated_at - timedelta(days=1) for row in new)


def test_clean_up_waits_for_a_writer_that_has_read_its_rows(database: Database) -> None:
    """Else the writer would count the change of a row that is deleted meanwhile, and the totals drift for ever."""
    write(database, sign_in(), age=OLD)
    with database.read() as connection:
        cutoff = database.now(connection) - timedelta(days=30)
    job = request_clean(database, "sign-in", cutoff, actor="test")
    done = threading.Event()

    def work() -> None:
        work_on_job(database, job.id, budget_seconds=5)
        done.set()

    with ThreadPoolExecutor(1) as pool:
        with database.write():
            working = pool.submit(work)
            assert not done.wait(0.5)
        working.result(timeout=60)
    assert read_all(database, "sign-in") == []
