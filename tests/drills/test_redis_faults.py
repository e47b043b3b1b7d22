"""Redis stopped, frozen, emptied and full: requests do not notice, and locations are current soon after."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from flask import request

from melody_logs.storage.models import SignInLog
from melody_logs.tasks import INTERVALS_SECONDS
from tests.drills.reporting import Drill
from tests.servers.processes import PATIENCE_SECONDS, Process
from tests.servers.redis_server import RedisServer
from tests.worker.conftest import Host, MakeHost

OURS = "melody_logs.worker"
WORKER = ("worker", "--concurrency", "2", "--without-gossip", "--without-mingle")
BEAT_SECONDS = INTERVALS_SECONDS["melody_logs.locate_pending"]
ROWS = 50
REQUESTS = 200
FROM = {"REMOTE_ADDR": "81.2.69.142"}
_watched: list[Any] = []


def stop(server: RedisServer) -> Callable[[], None]:
    server.stop()
    return server.start


def freeze(server: RedisServer) -> Callable[[], None]:
    server.pause()
    return server.resume


def restart_empty(server: RedisServer) -> Callable[[], None]:
    with client_of(server) as client:
        client.flushall()
    server.kill()
    return server.start


def fill(server: RedisServer) -> Callable[[], None]:
    """Let it refuse every write, as it does when its memory is full and nothing may be evicted."""
    with client_of(server) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")

    def make_room() -> None:
        with client_of(server) as client:
            client.config_set("maxmemory", "0")

    return make_room


def empty(server: RedisServer) -> Callable[[], None]:
    with client_of(server) as client:
        client.flushall()
    return lambda: None


Fault = tuple[str, Callable[[RedisServer], Callable[[], None]]]
FAULTS: list[Fault] = [
    ("frozen", freeze),
    ("stopped", stop),
    ("restarted empty", restart_empty),
    ("full", fill),
    ("emptied", empty),
]


@pytest.fixture
def located_host(make_host: MakeHost, postgresql_url: str, redis_url: str) -> Host:
    """A host on PostgreSQL whose worker listens to Redis."""
    host = make_host(postgresql_url)
    host.environment["MELODY_WORKER_BROKER_URL"] = redis_url
    return host


@pytest.mark.fault("F15")
def test_short_fault_of_redis_is_over_soon_after_it(
    located_host: Host, redis_server: RedisServer, drill: Drill
) -> None:
    drill_redis(located_host, redis_server, drill, FAULTS[:2], seconds=1)


@pytest.mark.drills
@pytest.mark.fault("F15")
def test_each_long_fault_of_redis_is_over_soon_after_it(
    located_host: Host, redis_server: RedisServer, drill: Drill
) -> None:
    drill_redis(located_host, redis_server, drill, FAULTS, seconds=15)


def drill_redis(host: Host, server: RedisServer, drill: Drill, faults: Sequence[Fault], *, seconds: float) -> None:
    """Break Redis in each way for some *seconds* while sign-ins come in."""
    host.app.add_url_rule("/sign-in", "sign_in", lambda: sign_in(host), methods=["POST"])
    worker = host.start(OURS, *WORKER, name="worker")
    host.start(OURS, "beat", name="beat")
    host.add_sign_ins(ROWS)
    worker.wait_until(lambda: count_located(host) == ROWS, what="locating")
    rows = ROWS
    for name, break_it in faults:
        end = break_it(server)
        if name == "frozen":
            calls = count_broker_calls(host, server.port)
            drill.expect("broker calls of requests, Redis frozen", expected=0, measured=calls, held=calls == 0)
            rows += REQUESTS
        time.sleep(seconds)
        host.add_sign_ins(ROWS)
        rows += ROWS
        end()
        note_recovery(host, worker, drill, name, rows)
    forgotten = rows - count_located(host)
    drill.expect("rows forgotten", expected=0, measured=forgotten, held=forgotten == 0)


def note_recovery(host: Host, worker: Process, drill: Drill, fault: str, rows: int) -> None:
    """Measure how long the locations lag once Redis is well again."""
    began = time.monotonic()
    worker.wait_until(lambda: count_located(host) >= rows, what=f"locating after Redis was {fault}")
    lag = time.monotonic() - began
    # The second on top is for the work itself; the short form runs beside other tests and measures no time.
    most = 2 * BEAT_SECONDS + 1 if drill.is_long else PATIENCE_SECONDS
    drill.expect(
        f"locations current after Redis was {fault}",
        expected=f"≤ {most:g} s" + (": 2 beats + 1 s" if drill.is_long else ""),
        measured=f"{lag:.1f} s",
        held=lag <= most,
    )


def count_broker_calls(host: Host, port: int) -> int:
    """Sign in by requests, and count the connections that they make to Redis."""
    client = host.app.test_client()
    with watching_connections() as addresses:
        for number in range(REQUESTS):
            sent = client.post("/sign-in", data={"email": f"p{number}@example.org"}, environ_base=FROM)
            assert sent.status_code == 200
    host.state.drain.run_once()
    return sum(address[1] == port for address in addresses if isinstance(address, tuple))


@contextmanager
def watching_connections() -> Iterator[list[Any]]:
    """Collect every address that this process connects to."""
    addresses: list[Any] = []
    if not _hooked:
        sys.addaudithook(_note_connection)
        _hooked.append(True)
    _watched.append(addresses)
    try:
        # What counts nothing proves nothing.
        with socket.socket() as probe, socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            probe.connect(listener.getsockname())
        assert len(addresses) == 1
        addresses.clear()
        yield addresses
    finally:
        _watched.remove(addresses)


_hooked: list[bool] = []


def _note_connection(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for addresses in _watched:
            addresses.append(arguments[1])


def sign_in(host: Host) -> str:
    """Record as a login view does."""
    fields = {"identity": request.form["email"], "success": True}
    return str(host.state.recorder.record_sign_in(fields))


def count_located(host: Host) -> int:
    return host.count(SignInLog.geo_state == "done")


def client_of(server: RedisServer) -> Any:
    return redis.Redis(port=server.port, socket_timeout=5)
