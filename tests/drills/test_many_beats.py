"""Two beats, sweeps that overlap, messages that come ten times: the tables end as after one sweep."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from flask import Flask
from sqlalchemy import select

from melody_logs import tasks
from melody_logs.recording.entries import Entry, build_message, build_sign_in, to_json
from melody_logs.recording.request_facts import RequestFacts
from melody_logs.state import State, state_of
from melody_logs.storage.models import TABLES
from melody_logs.vocabulary import Kind
from tests.drills.reporting import Drill
from tests.hosts import close_host
from tests.hosts import make_host as make_other_host
from tests.storage.rows import assert_totals_match, message, sign_in, write
from tests.worker.conftest import Host, MakeHost

WORKER = ("worker", "--concurrency", "3", "--without-gossip", "--without-mingle")
SWEEPS = (tasks.drain, tasks.locate_pending, tasks.clean, tasks.expire_pending, tasks.heartbeat)
#: What differs between two equal tables: when and in which order their rows came and changed.
_OF_THE_RUN = {"id", "position", "recorded_at", "updated_at", "stored_bytes"}


@pytest.mark.fault("F17")
def test_many_sweeps_at_once_end_as_one(
    make_host: MakeHost, postgresql_url: str, redis_url: str, tmp_path: Path, drill: Drill
) -> None:
    rows = 600
    host = make_host(postgresql_url)
    once, _ = make_other_host(
        f"sqlite:///{tmp_path}/once.db", tmp_path=tmp_path / "once", MELODY_LOGS_DRAIN_IN_PROCESS=False,
        MELODY_LOGS_RETENTION=[{"kind": "sign-in", "days": 30}],
    )  # fmt: skip
    prepare(state_of(once), host.state, rows)
    with once.app_context():
        for sweep in SWEEPS:
            sweep()
    run_many(host, redis_url)
    for kind in ("sign-in", "email"):
        expected, found = table_of(state_of(once), kind), table_of(host.state, kind)
        doubled = len(found) - len({row["event_id"] for row in found})
        drill.expect(f"{kind} rows written twice", expected=0, measured=doubled, held=doubled == 0)
        same = sum(one == other for one, other in zip(expected, found, strict=False))
        drill.expect(
            f"{kind} rows as after one sweep",
            expected=f"{len(expected):,}",
            measured=f"{same:,}",
            held=same == len(expected) == len(found) > 0,
        )
    assert_totals_match(host.state.database)
    close_host(once)


def prepare(once: State, many: State, rows: int) -> None:
    """Give both the same work: entries in the spool, rows that wait for a location, old rows, pending messages."""
    entries: list[Entry] = []
    for number in range(rows):
        fields = {"identity": f"p{number}@example.org", "success": number % 2 == 0, "ip": f"81.2.69.{number % 250 + 1}"}
        entries.append(build_sign_in(fields, facts=RequestFacts(), key=b"k" * 32))
        sent = {"receiver": f"p{number}@example.org", "content": "Hi", "status": "pending"}
        entries.append(build_message("email", sent, facts=RequestFacts(), settings=many.settings, amends=True))
    old = [sign_in() for _ in range(rows)]
    pending = [message(status="pending") for _ in range(rows)]
    waiting = [sign_in(ip=f"81.2.69.{number % 250 + 1}") for number in range(rows)]
    for state in (once, many):
        for entry in entries:
            assert state.spool.append(entry.kind, to_json(entry))
        write(state.database, *old, age=timedelta(days=31))
        write(state.database, *pending, age=timedelta(minutes=16))
        write(state.database, *waiting)


def run_many(host: Host, redis_url: str) -> None:
    """Run two workers under two beats, each task ten times at once, and five threads that sweep beside them."""
    host.environment["MELODY_WORKER_BROKER_URL"] = redis_url
    client = Celery(broker=redis_url)
    client.conf.task_default_queue = "melody_logs"
    for _ in range(10):
        for sweep in SWEEPS:
            client.send_task(sweep.name, ignore_result=True)
    client.close()
    workers = [host.start("melody_logs.worker", *WORKER, name=name) for name in ("worker", "second-worker")]
    for name in ("beat", "second-beat"):
        host.start("melody_logs.worker", "beat", name=name)
    begin = threading.Barrier(5)
    with ThreadPoolExecutor(5) as pool:
        for sweeping in [pool.submit(sweep_all, host.app, begin) for _ in range(5)]:
            sweeping.result(timeout=100)
    for worker in workers:
        worker.wait_until(lambda: is_finished(host.state), what="done")


def sweep_all(app: Flask, begin: threading.Barrier) -> None:
    begin.wait(timeout=60)
    with app.app_context():
        for sweep in SWEEPS:
            sweep()


def is_finished(state: State) -> bool:
    sign_ins, emails = table_of(state, "sign-in"), table_of(state, "email")
    recorded = len(sign_ins) + len(emails)
    waits = any(row["geo_state"] == "pending" for row in sign_ins)
    return not waits and recorded > 0 and not state.spool.waiting().entries


def table_of(state: State, kind: Kind) -> list[dict[str, Any]]:
    """Read a log by event, without what belongs to the run."""
    table = TABLES[kind]
    with state.database.read() as connection:
        rows = connection.execute(select(table).order_by(table.c.event_id)).mappings().all()
    return [{name: value for name, value in row.items() if name not in _OF_THE_RUN} for row in rows]
