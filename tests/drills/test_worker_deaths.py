"""Workers that die while they locate: killed from outside, or by the row they are at."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select, update

from melody_logs.storage.models import LocationClaim, SignInLog
from melody_logs.tasks import INTERVALS_SECONDS
from tests.drills.deadly_host import DEADLY_ADDRESS
from tests.drills.families import kill_family
from tests.drills.reporting import Drill
from tests.storage.rows import assert_totals_match, sign_in, write
from tests.worker.conftest import Host, MakeHost

OURS = "melody_logs.worker"
WORKER = ("worker", "--concurrency", "2", "--without-gossip", "--without-mingle")
LEASE_SECONDS = 60
BEAT_SECONDS = INTERVALS_SECONDS["melody_logs.locate_pending"]
#: A worker of Celery needs this long on a busy machine to be there at all.
START_SECONDS = 15


@pytest.fixture
def located_host(make_host: MakeHost, postgresql_url: str, redis_url: str) -> Host:
    """A host on PostgreSQL whose worker listens to Redis."""
    host = make_host(postgresql_url)
    host.environment["MELODY_WORKER_BROKER_URL"] = redis_url
    return host


def drill_kills(host: Host, drill: Drill, *, kills: int, rows_a_kill: int) -> None:
    """Kill the worker again and again while it locates, then let one finish."""
    worker = host.start(OURS, *WORKER, name="worker")
    host.start(OURS, "beat", name="beat")
    rows = hurt = 0
    for _ in range(kills):
        rows += rows_a_kill
        more_done = partial(is_past, host, count_done(host))
        host.add_sign_ins(rows_a_kill)
        worker.wait_until(more_done, what="locating")
        time.sleep(drill.random.uniform(0, 0.2))
        kill_family(worker)
        hurt += count_claims(host) > 0
        worker.start()
    died_at = time.monotonic()
    if not drill.is_long:
        let_leases_run_out(host)
    most_seconds = LEASE_SECONDS + BEAT_SECONDS + START_SECONDS
    worker.wait_until(lambda: count_done(host) == rows, timeout_seconds=2 * most_seconds, what="done")
    recovery_seconds = time.monotonic() - died_at
    note_locations(host, drill, rows)
    if drill.is_long:
        # Few kills may all come between two batches.
        drill.expect("kills that left rows claimed", expected=f"≥ 1 of {kills}", measured=hurt, held=hurt >= 1)
    drill.expect(
        "recovery after the last kill" if drill.is_long else "recovery, leases run out at once",
        expected=f"≤ {most_seconds:.0f} s: lease + 1 beat + start",
        measured=f"{recovery_seconds:.1f} s",
        held=recovery_seconds <= most_seconds,
    )


def note_locations(host: Host, drill: Drill, rows: int) -> None:
    """Compare each row with what one look-up makes of it."""
    columns = (SignInLog.geo_state, SignInLog.country, SignInLog.version, SignInLog.position)
    with host.state.database.read() as connection:
        found = connection.execute(select(*columns)).all()
    lost, doubled = rows - len(found), len(found) - len({row.position for row in found})
    doubled += sum(row.version != 2 for row in found)
    states = Counter(row.geo_state for row in found)
    drill.expect("rows lost", expected=0, measured=lost, held=lost == 0)
    drill.expect("rows written twice", expected=0, measured=doubled, held=doubled == 0)
    drill.expect("rows located", expected=f"{rows:,}", measured=f"{states['done']:,}", held=states == {"done": rows})
    assert {row.country for row in found} == {"GB"}
    assert_totals_match(host.state.database)


@pytest.mark.fault("F3")
def test_short_run_of_killed_workers_loses_and_doubles_nothing(located_host: Host, drill: Drill) -> None:
    drill_kills(located_host, drill, kills=2, rows_a_kill=1_500)


@pytest.mark.drills
@pytest.mark.fault("F3")
def test_twenty_killed_workers_lose_and_double_nothing(located_host: Host, drill: Drill) -> None:
    drill_kills(located_host, drill, kills=20, rows_a_kill=2_500)


@pytest.mark.fault("F4")
def test_short_run_over_a_row_that_kills_the_worker(located_host: Host, drill: Drill, tmp_path: Path) -> None:
    drill_deadly_row(located_host, drill, tmp_path, rows=2_000)


@pytest.mark.drills
@pytest.mark.fault("F4")
def test_one_row_of_fifty_thousand_that_kills_fails_alone(located_host: Host, drill: Drill, tmp_path: Path) -> None:
    drill_deadly_row(located_host, drill, tmp_path, rows=50_000)


def drill_deadly_row(host: Host, drill: Drill, folder: Path, *, rows: int) -> None:
    """Let real workers meet a row that ends their process; a dead one's lease runs out at once."""
    host.environment["MELODY_WORKER_APP"] = "tests.drills.deadly_host:create_app"
    host.add_sign_ins(drill.random.randrange(rows - 1))
    write(host.state.database, sign_in(ip=DEADLY_ADDRESS))
    host.add_sign_ins(rows - host.count())
    worker = host.start(OURS, *WORKER, name="worker")
    host.start(OURS, "beat", name="beat")
    deaths = folder / "deaths"
    ended = 0

    def is_final() -> bool:
        nonlocal ended
        died = deaths.stat().st_size if deaths.exists() else 0
        if died > ended:
            ended = died
            free_claim_of_the_dead(host)
        return host.count(SignInLog.geo_state == "pending") == 0

    worker.wait_until(is_final, timeout_seconds=100, what="done")
    note_deadly_row(host, drill, rows, ended)


def note_deadly_row(host: Host, drill: Drill, rows: int, deaths: int) -> None:
    """Say how the deadly row and its neighbours ended."""
    with host.state.database.read() as connection:
        columns = (SignInLog.geo_state, SignInLog.geo_attempts)
        state, claims = connection.execute(select(*columns).where(SignInLog.ip == DEADLY_ADDRESS)).one()
    done = count_done(host)
    drill.expect("claims of the deadly row", expected="≤ 5", measured=claims, held=claims <= 5)
    drill.expect("processes it killed", expected="≤ 5", measured=deaths, held=0 < deaths <= 5)
    drill.expect("its state", expected="failed", measured=state, held=state == "failed")
    drill.expect("other rows located", expected=f"{rows - 1:,}", measured=f"{done:,}", held=done == rows - 1)
    assert_totals_match(host.state.database)


def free_claim_of_the_dead(host: Host) -> None:
    """Let the lease of the batch run out that the deadly row is in: whoever held it is dead."""
    deadly = select(SignInLog.id).where(SignInLog.ip == DEADLY_ADDRESS).scalar_subquery()
    with host.state.database.transaction() as connection:
        owner = connection.scalar(select(LocationClaim.owner).where(LocationClaim.sign_in_id == deadly))
        past = host.state.database.now(connection) - timedelta(seconds=1)
        connection.execute(update(LocationClaim).where(LocationClaim.owner == owner).values(lease_until=past))


def let_leases_run_out(host: Host) -> None:
    with host.state.database.transaction() as connection:
        past = host.state.database.now(connection) - timedelta(seconds=1)
        connection.execute(update(LocationClaim).values(lease_until=past))


def count_done(host: Host) -> int:
    return host.count(SignInLog.geo_state == "done")


def is_past(host: Host, rows: int) -> bool:
    return count_done(host) > rows


def count_claims(host: Host) -> int:
    with host.state.database.read() as connection:
        return len(connection.execute(select(LocationClaim.sign_in_id)).all())
