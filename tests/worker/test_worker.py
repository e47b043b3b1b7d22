"""The worker and beat as real processes, over a real Redis and over the embedded broker."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from melody_logs.storage.models import LocationClaim, SignInLog
from tests.servers.processes import wait_until
from tests.worker.conftest import ROOT, Host

OURS = "melody_logs.worker"
WORKER = ("worker", "--concurrency", "2", "--without-gossip", "--without-mingle")


def test_two_beats_and_a_killed_worker_locate_each_row_once(each_host: Host, redis_url: str) -> None:
    host = each_host
    host.environment["MELODY_WORKER_BROKER_URL"] = redis_url
    host.add_sign_ins(1_000)
    worker = host.start(OURS, *WORKER, name="worker")
    for name in ("beat", "second-beat"):
        host.start(OURS, "beat", name=name)
    worker.wait_until(lambda: host.count(SignInLog.geo_state == "done") == 1_000, what="locating")
    host.add_sign_ins(1_000)
    worker.kill()
    host.add_sign_ins(1_000)
    # What the killed worker held is free once its lease has run out: let that moment be now.
    with host.state.database.transaction() as connection:
        past = datetime.now(UTC) - timedelta(minutes=1)
        connection.execute(update(LocationClaim).values(lease_until=past))
    worker.start()
    worker.wait_until(lambda: host.count(SignInLog.geo_state == "done") == 3_000, what="locating the rest")
    with host.state.database.read() as connection:
        rows = connection.execute(select(SignInLog.country, SignInLog.version, SignInLog.position)).all()
    assert {row.country for row in rows} == {"GB"}
    assert {row.version for row in rows} == {min(row.version for row in rows)}
    assert len({row.position for row in rows}) == 3_000


def test_celery_of_the_host_runs_the_tasks(host: Host, redis_url: str) -> None:
    """``autodiscover_tasks`` and ``beat_schedule`` are all that a host with a Celery of its own needs."""
    host.environment["TEST_HOST_BROKER_URL"] = redis_url
    host.add_sign_ins(3)
    with host.app.app_context():
        host.state.recorder.record_sign_in({"identity": "ann@example.org", "success": True, "ip": "81.2.69.142"})
    assert host.count() == 3
    own = "tests.worker.own_celery"
    worker = host.start(own, *WORKER, name="worker")
    host.start(own, "beat", name="beat")
    worker.wait_until(lambda: host.count(SignInLog.country == "GB") == 4, what="all located")


def test_embedded_broker_needs_no_server(host: Host, tmp_path: Path) -> None:
    host.environment["MELODY_WORKER_DATA_DIR"] = str(tmp_path / "queue")
    host.add_sign_ins(5)
    worker = host.start(OURS, *WORKER, "--pool", "solo", name="worker")
    beat = host.start(OURS, "beat", name="beat")
    worker.wait_until(lambda: host.count(SignInLog.country == "GB") == 5, what="locating")
    beat.wait_until(lambda: "beat" in host.seen(), what="seen")
    assert (tmp_path / "queue").stat().st_mode & 0o777 == 0o700


def test_tasks_run_by_name_and_say_that_they_live(host: Host, redis_url: str) -> None:
    """Old rows go by the policy, and the worker's sign of life is written; here without a beat."""
    host.environment["MELODY_WORKER_BROKER_URL"] = redis_url
    host.add_sign_ins(4, age=timedelta(days=31))
    host.add_sign_ins(2)
    worker = host.start(OURS, *WORKER, name="worker")
    for task in ("clean", "heartbeat"):
        host.start(OURS, "call", f"melody_logs.{task}", name=task).wait()
    worker.wait_until(lambda: host.count() == 2, what="cleaning")
    worker.wait_until(lambda: "worker" in host.seen(), what="seen")


def test_worker_and_its_pool_end_when_the_lifeline_is_cut(host: Host, redis_url: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    environment = {**os.environ, **host.environment, "MELODY_WORKER_BROKER_URL": redis_url}
    environment["MELODY_WORKER_LIFELINE"] = str(reader)
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", OURS, *WORKER, "--loglevel", "INFO"],
            env=environment,
            cwd=tmp_path,
            pass_fds=(reader,),
            start_new_session=True,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        os.close(reader)
        wait_until(lambda: "ready." in log.read_text(), what="the worker")
        assert len(members_of(worker.pid)) >= 3
        os.close(writer)
        worker.wait(60)
        wait_until(lambda: not members_of(worker.pid), what="the end of the pool")
    finally:
        worker.kill()
        worker.wait()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", '"MELODY_WORKER_APP" is not set'),
        ("no.such.module:create_app", '"MELODY_WORKER_APP" is "no.such.module:create_app"'),
        ("tests.worker.host_app:create_nothing", "create_nothing"),
    ],
)
def test_worker_without_a_host_says_what_to_set(tmp_path: Path, value: str, said: str) -> None:
    environment = {**os.environ, "MELODY_WORKER_APP": value, "PYTHONPATH": str(ROOT), "FLASK_APP": ""}
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", OURS, *WORKER],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert 'such as "package.module:create_app"' in done.stderr


def members_of(group: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if fields[0] != "Z" and int(fields[2]) == group:
            found.append(int(folder.name))
    return found
