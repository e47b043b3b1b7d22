"""Clean-ups that are killed in the middle, while new rows come in."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, insert, literal, select, update

from melody_logs.jobs.clean import JobRow, find_job, request_clean
from melody_logs.storage.database import Database
from melody_logs.storage.models import CountryTotal, HourlyTotal, Job, SignInLog, Total
from tests.conftest import StartProcess
from tests.drills.reporting import Drill
from tests.servers.processes import wait_until
from tests.storage.rows import assert_totals_match, make_database, sign_in, write
from tests.worker.conftest import ROOT

DAYS = timedelta(days=1)
_TABLE: Any = SignInLog.__table__


@pytest.mark.fault("F5")
def test_short_clean_up_goes_on_at_its_cursor_when_killed(
    database_url: str, drill: Drill, start_process: StartProcess
) -> None:
    drill_clean(database_url, drill, start_process, copies=20, kills=3, at_least=1)


@pytest.mark.drills
@pytest.mark.fault("F5")
def test_clean_up_of_a_million_rows_survives_ten_kills(
    postgresql_url: str, drill: Drill, start_process: StartProcess
) -> None:
    drill_clean(postgresql_url, drill, start_process, copies=1_000, kills=10, at_least=10)


def drill_clean(url: str, drill: Drill, start_process: StartProcess, *, copies: int, kills: int, at_least: int) -> None:
    """Kill the cleaning process again and again; whoever held its lease is dead, so the lease ends at once.

    A quick machine may be done before the last of a few kills: *at_least* so many have to meet it at work.
    """
    database = make_database(url)
    old, new = fill(database, copies)
    with database.read() as connection:
        cutoff = database.now(connection) - 30 * DAYS
    job = request_clean(database, "sign-in", cutoff, actor="drill")
    left: list[JobRow] = [job]
    command = [sys.executable, "-m", "tests.drills.cleaner", url, str(job.id)]
    with inserting(database) as inserted:
        cleaner = start_process(command, name="cleaner", environment={"PYTHONPATH": str(ROOT)})
        for kill in range(1, kills + 1):
            cleaner.wait_until(partial(is_past, database, job.id, old * kill // (kills + 2)), what="so far")
            cleaner.kill()
            left.append(free_job(database, job.id))
            cleaner.start()
        assert cleaner.wait(timeout_seconds=600) == 0
    note_clean(database, drill, read(database, job.id), cutoff, old, new + len(inserted))
    in_time = sum(job.is_active for job in left[1:])
    drill.expect("kills before its end", expected=f"≥ {at_least}", measured=in_time, held=in_time >= at_least)
    places = [job.cursor for job in left]
    drill.expect("cursor after each kill", expected="never back", measured=shown(places), held=places == sorted(places))
    database.close()


def note_clean(database: Database, drill: Drill, job: JobRow, cutoff: datetime, old: int, new: int) -> None:
    """Compare what is left with what had to go and to stay."""
    recorded_at = _TABLE.c.recorded_at
    with database.read() as connection:
        left_old = connection.scalar(select(func.count()).where(recorded_at < cutoff)) or 0
        left_new = connection.scalar(select(func.count()).where(recorded_at >= cutoff)) or 0
    drill.expect("rows that had to go and are there", expected=0, measured=left_old, held=left_old == 0)
    drill.expect("newer rows gone", expected=0, measured=new - left_new, held=left_new == new)
    held = (job.state, job.done_rows, job.total_rows) == ("finished", old, old)
    drill.expect("receipt", expected=f"{old:,} deleted once", measured=f"{job.done_rows:,} {job.state}", held=held)
    assert_totals_match(database)


def fill(database: Database, copies: int) -> tuple[int, int]:
    """Write *copies* thousand-row lots, four fifths older than 30 days; return how many are old and how many new."""
    write(database, *(sign_in(country="CA", outcome=("success", "failure")[n % 2]) for n in range(800)), age=40 * DAYS)
    write(database, *(sign_in(country="CA") for _ in range(200)), age=10 * DAYS)
    copied = [column for column in _TABLE.c if column.name != "id"]
    done = 1
    with database.write() as connection:
        while done < copies:
            # The copies of old and new rows lie mixed, as imported rows do.
            more = min(done, copies - done)
            lot = select(*copied).order_by(_TABLE.c.id).limit(more * 1_000)
            connection.execute(insert(_TABLE).from_select([column.name for column in copied], lot))
            done += more
        for total in (Total, HourlyTotal, CountryTotal):
            table: Any = total.__table__
            sums = {column: column * literal(copies) for column in table.c if column.name.endswith("_count")}
            connection.execute(update(table).values(sums))
    return 800 * copies, 200 * copies


@contextmanager
def inserting(database: Database) -> Iterator[list[int]]:
    """Write new rows all the while; the list has an item for each that was committed."""
    written: list[int] = []
    done = threading.Event()

    def insert_rows() -> None:
        while not done.wait(0.02):
            write(database, *(sign_in() for _ in range(10)))
            written.extend(range(10))

    thread = threading.Thread(target=insert_rows)
    thread.start()
    try:
        wait_until(lambda: written, what="the first rows")
        yield written
    finally:
        done.set()
        thread.join()


def is_past(database: Database, job_id: int, rows: int) -> bool:
    return read(database, job_id).done_rows >= rows


def free_job(database: Database, job_id: int) -> JobRow:
    """Let the lease run out, as half a minute does, and give the job as the dead left it."""
    with database.transaction() as connection:
        past = database.now(connection) - timedelta(seconds=1)
        connection.execute(update(Job).where(Job.id == job_id).values(lease_until=past))
    return read(database, job_id)


def read(database: Database, job_id: int) -> JobRow:
    job = find_job(database, job_id)
    assert job is not None
    return job


def shown(places: list[int]) -> str:
    return f"{places[0]:,} … {places[-1]:,}"
