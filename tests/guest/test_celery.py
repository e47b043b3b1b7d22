"""Hosts with a Celery app of their own: it runs our tasks beside theirs, and its configuration stays what it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import celery
import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from flask import Flask

from melody_logs.state import State, state_of
from melody_logs.storage.progress import read_heartbeats
from melody_logs.tasks import beat_schedule
from tests.guest.conftest import MoveIn, NewHost
from tests.servers.processes import wait_until
from tests.storage.rows import read_all, sign_in, write

OURS = {"melody_logs.clean", "melody_logs.drain", "melody_logs.expire_pending", "melody_logs.heartbeat"}
OURS |= {"melody_logs.locate_pending"}
THEIRS = {"task": "host.add", "schedule": timedelta(minutes=1), "options": {"queue": "host"}}


def add(a: int, b: int) -> int:
    """Do the host's work."""
    return a + b


@pytest.fixture
def make_celery() -> Iterator[Any]:
    """A function that makes the host's Celery app, with a task of its own; the current app of before comes back."""
    before = celery.current_app._get_current_object()

    def make(**config: Any) -> Celery:
        app = Celery("host", broker="memory://", backend="cache+memory://", set_as_current=True)
        app.conf.update({"timezone": "Asia/Tokyo", "broker_connection_retry_on_startup": True} | config)
        app.conf.beat_schedule = {"theirs": dict(THEIRS)}
        app.task(name="host.add")(add)
        return app

    yield make
    before.set_current()


def look_at(app: Celery) -> dict[str, Any]:
    """Copy what the host has configured, but for the schedule."""
    return {name: copy.copy(value) for name, value in dict(app.conf).items() if name != "beat_schedule"}


def join(theirs: Celery, app: Flask) -> None:
    """Do what the documentation says, and check that nothing else of the host's Celery is touched."""
    before, mine = look_at(theirs), theirs.tasks["host.add"]
    theirs.autodiscover_tasks(["melody_logs"], force=True)
    theirs.conf.beat_schedule = {**theirs.conf.beat_schedule, **beat_schedule(app)}
    assert look_at(theirs) == before
    assert set(theirs.tasks) >= OURS
    assert theirs.tasks["host.add"] is mine
    assert theirs.conf.beat_schedule["theirs"] == THEIRS


def is_located(state: State) -> bool:
    """Say whether the sign-in has its country, and the worker's sign of life is there."""
    with state.database.read() as connection:
        seen = read_heartbeats(connection)
    return bool(seen.get("worker")) and [row.country for row in read_all(state.database, "sign-in")] == ["US"]


def test_init_app_touches_no_celery(new_host: NewHost, move_in: MoveIn, make_celery: Any) -> None:
    theirs = make_celery()
    before, schedule = look_at(theirs), copy.deepcopy(theirs.conf.beat_schedule)
    move_in(new_host())
    assert celery.current_app._get_current_object() is theirs
    assert (look_at(theirs), theirs.conf.beat_schedule) == (before, schedule)


def test_worker_of_the_host_runs_ours_beside_theirs(new_host: NewHost, move_in: MoveIn, make_celery: Any) -> None:
    """Over the host's queues and routes, in its time zone, with JSON alone."""
    app = new_host()
    move_in(app)
    theirs = make_celery(
        task_default_queue="host",
        task_queues=None,
        task_routes={"melody_logs.*": {"queue": "logs"}},
        accept_content=["json"],
        task_serializer="json",
        task_create_missing_queues=True,
        worker_redirect_stdouts=False,
    )
    join(theirs, app)
    state = state_of(app)
    write(state.database, sign_in(ip="8.8.8.8", geo_state="pending"))
    sent = [theirs.send_task(name) for name in ("melody_logs.heartbeat", "melody_logs.locate_pending")]
    assert len({result.id for result in sent}) == 2
    queues = theirs.amqp.router.route({}, "melody_logs.drain")["queue"].name
    assert (queues, theirs.amqp.router.route({}, "host.add")["queue"].name) == ("logs", "host")
    with start_worker(theirs, perform_ping_check=False, pool="solo", queues=["host", "logs"]):
        assert theirs.send_task("host.add", (1, 2)).get(timeout=60) == 3
        wait_until(lambda: is_located(state), what="our tasks, too")


def test_eager_celery_of_a_test_suite_runs_ours_at_once(new_host: NewHost, move_in: MoveIn, make_celery: Any) -> None:
    app = new_host(MELODY_LOGS_WRITER="spool", MELODY_LOGS_DRAIN_IN_PROCESS=False)
    logs = move_in(app)
    theirs = make_celery(task_always_eager=True, task_eager_propagates=True)
    join(theirs, app)
    assert theirs.tasks["host.add"].delay(1, 2).get() == 3
    with app.app_context():
        logs.record_sign_in(identity="ann@example.org", success=True, ip="8.8.8.8")
    for name in sorted(OURS):
        assert theirs.tasks[name].delay().get() is None
    for name in ("melody_logs.drain", "melody_logs.locate_pending"):
        theirs.tasks[name].delay()
    assert is_located(state_of(app))
