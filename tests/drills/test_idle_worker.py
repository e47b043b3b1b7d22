"""A worker that is there and does nothing: health says so, and the commands do its work."""

from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import Result
from sqlalchemy import update

from melody_logs.health import Finding, check_health
from melody_logs.health.database_checks import WORKER_SILENT_AFTER
from melody_logs.storage.models import Heartbeat, SignInLog
from melody_logs.storage.progress import read_heartbeats
from tests.drills.reporting import Drill
from tests.worker.conftest import Host, MakeHost

WORKER = ("worker", "--concurrency", "1", "--without-gossip", "--without-mingle")
ROWS = 300


@pytest.mark.fault("F16")
def test_worker_that_never_consumes_again_is_told_and_done_without(
    make_host: MakeHost, postgresql_url: str, redis_url: str, drill: Drill
) -> None:
    host = make_host(postgresql_url)
    host.environment["MELODY_WORKER_BROKER_URL"] = redis_url
    worker = host.start("melody_logs.worker", *WORKER, name="worker")
    beat = host.start("melody_logs.worker", "beat", name="beat")
    worker.wait_until(lambda: {"worker", "beat"} <= host.seen(), what="seen")
    worker.pause()
    for _ in range(ROWS):
        host.state.recorder.record_sign_in({"identity": "ann@example.org", "success": True, "ip": "81.2.69.142"})
    # The database's clock goes on by four minutes: what the worker wrote last is as old as that now.
    beat.pause()
    assert find(host, "Worker").level == "good"
    age(host, WORKER_SILENT_AFTER - timedelta(seconds=30))
    early = find(host, "Worker").level
    age(host, timedelta(seconds=31))
    finding = find(host, "Worker")
    most = WORKER_SILENT_AFTER + timedelta(seconds=1)
    drill.expect(
        "health once the worker is silent",
        expected="bad within 5 min",
        measured=f"{finding.level} at {most}",
        held=finding.level == "bad" and "melody_logs.worker" in finding.remedy and early == "good",
    )
    drained, located = run(host, "drain"), run(host, "locate")
    done = host.count(SignInLog.country == "GB")
    drill.expect("rows drained and located by the commands", expected=ROWS, measured=done, held=done == ROWS)
    assert f"Drained {ROWS}" in drained.output and f"Located {ROWS}" in located.output


def find(host: Host, name: str) -> Finding:
    with host.app.app_context():
        return next(found for found in check_health(host.state).findings if found.name == name)


def age(host: Host, by: timedelta) -> None:
    """Set the signs of life back."""
    with host.state.database.transaction() as connection:
        for name, seen_at in read_heartbeats(connection).items():
            connection.execute(update(Heartbeat).where(Heartbeat.name == name).values(seen_at=seen_at - by))


def run(host: Host, *arguments: str) -> Result:
    result = host.app.test_cli_runner().invoke(args=["melody-logs", *arguments])
    assert result.exit_code == 0, result.output
    return result
