"""F8 to F10: the log database refuses, freezes, or is behind a network that is slow, silent or cut."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from melody_logs.state import state_of
from tests.conftest import StartProcess
from tests.drills.calls import Calls, count_sign_ins
from tests.drills.reporting import Drill
from tests.drills.steady_clients import SteadyClients
from tests.drills.tcp_proxy import TcpProxy
from tests.drills.web_host import SYNC, WebHost
from tests.hosts import close_host, make_host
from tests.servers.postgresql import PostgresqlServer
from tests.servers.processes import wait_until
from tests.storage.rows import make_database

MakeCalls = Callable[..., Calls]
SHORT_AND_LONG = [pytest.param(False, id="short"), pytest.param(True, id="long", marks=pytest.mark.drills)]
WRITERS = ["spool", "direct"]


@pytest.fixture
def make_calls(tmp_path: Path) -> Iterator[MakeCalls]:
    """A function that makes a host in this process, with its logs at a URL."""
    made = []

    def make(database_url: str, **config: Any) -> Calls:
        settings: dict[str, Any] = {"MELODY_LOGS_DIRECT_TIMEOUT_MILLISECONDS": 250, **config}
        calls = Calls(*make_host(database_url, tmp_path=tmp_path, **settings))
        made.append(calls)
        return calls

    yield make
    for calls in made:
        close_host(calls.app)


@pytest.mark.fault("F8")
@pytest.mark.parametrize("is_long", SHORT_AND_LONG)
def test_database_that_refuses_is_not_noticed_by_the_host(
    drill: Drill,
    is_long: bool,
    start_process: StartProcess,
    tmp_path: Path,
    postgresql_url: str,
    postgresql_server: PostgresqlServer,
) -> None:
    host = WebHost(start_process, tmp_path, postgresql_url, options=SYNC)
    database = make_database(postgresql_url)
    host.start()
    seconds = drill.choose(60, 2)
    clients = SteadyClients(host.port, requests_a_second=50)
    postgresql_server.stop()
    try:
        clients.run_for(seconds)
    finally:
        postgresql_server.start()
    started_at = time.monotonic()
    wait_until(lambda: count_sign_ins(database) >= clients.answered, what="the rows")
    drained_seconds = time.monotonic() - started_at
    rows = count_sign_ins(database)
    errors = clients.asked - clients.answered
    drill.expect(f"errors of {clients.asked:,} requests", expected=0, measured=errors, held=errors == 0)
    drill.expect("rows after it", expected=clients.answered, measured=rows, held=rows == clients.answered)
    drill.expect(
        "seconds until they were there", expected="≤ 30", measured=round(drained_seconds, 1), held=drained_seconds <= 30
    )
    rate = clients.asked / seconds
    drill.expect("requests a second", expected="≥ 40", measured=round(rate), held=rate >= drill.choose(40, 10))


@pytest.mark.fault("F9")
@pytest.mark.parametrize("is_long", SHORT_AND_LONG)
@pytest.mark.parametrize("writer", WRITERS)
def test_frozen_database_delays_one_call_at_most(
    drill: Drill,
    is_long: bool,
    writer: str,
    make_calls: MakeCalls,
    postgresql_url: str,
    postgresql_server: PostgresqlServer,
) -> None:
    calls = make_calls(postgresql_url, MELODY_LOGS_WRITER=writer)
    calls.record(20)
    calls.forget_times()
    postgresql_server.pause()
    try:
        calls.record_for(drill.choose(30, 1))
    finally:
        postgresql_server.resume()
    calls.expect_promptness(drill, f"frozen, {writer}")
    calls.expect_all_once(drill, f"frozen, {writer}")


@pytest.fixture
def proxy(postgresql_server: PostgresqlServer) -> Iterator[TcpProxy]:
    """A proxy in front of the test's PostgreSQL."""
    proxy = TcpProxy(postgresql_server.port)
    yield proxy
    proxy.close()


def through(proxy: TcpProxy, url: str) -> str:
    """Give the address of the same database by way of the proxy."""
    return make_url(url).set(port=proxy.port).render_as_string(hide_password=False)


@pytest.mark.fault("F10")
@pytest.mark.parametrize("is_long", SHORT_AND_LONG)
@pytest.mark.parametrize("writer", WRITERS)
def test_slow_network_delays_no_call(
    drill: Drill, is_long: bool, writer: str, make_calls: MakeCalls, proxy: TcpProxy, postgresql_url: str
) -> None:
    """Each statement takes 0.4 s, so a direct call gives up after 250 ms, as often as the database has answered."""
    calls = make_calls(through(proxy, postgresql_url), MELODY_LOGS_WRITER=writer)
    calls.record(20)
    calls.forget_times()
    proxy.delay_seconds = 0.2
    calls.record_for(drill.choose(20, 1), pause_seconds=0.02)
    proxy.delay_seconds = 0.0
    bound = drill.choose(0.3, 6)
    slowest = max(calls.seconds)
    drill.expect(
        f"200 ms each way, {writer}: slowest of {len(calls.seconds):,} calls",
        expected=f"≤ {1000 * bound:.0f} ms",
        measured=f"{1000 * slowest:.1f} ms",
        held=slowest <= bound,
    )
    calls.expect_all_once(drill, f"200 ms each way, {writer}")


@pytest.mark.fault("F10")
@pytest.mark.parametrize("is_long", SHORT_AND_LONG)
@pytest.mark.parametrize("writer", WRITERS)
def test_half_open_connection_delays_one_call(
    drill: Drill, is_long: bool, writer: str, make_calls: MakeCalls, proxy: TcpProxy, postgresql_url: str
) -> None:
    calls = make_calls(through(proxy, postgresql_url), MELODY_LOGS_WRITER=writer)
    calls.record(20)
    calls.forget_times()
    proxy.stall()
    calls.record_for(drill.choose(20, 1))
    proxy.reset_all()
    proxy.go_on()
    calls.expect_promptness(drill, f"half-open, {writer}")
    calls.expect_all_once(drill, f"half-open, {writer}")


#: What the client says when the connection is cut, and whether the server still hears it.
CUTS = {
    "mid-query": (b"melody_position", False),
    "in the rows": (b"@example.org", False),
    "before COMMIT": (b"COMMIT", False),
    "after COMMIT was sent": (b"COMMIT", True),
}


@pytest.mark.fault("F10")
@pytest.mark.parametrize("is_long", SHORT_AND_LONG)
@pytest.mark.parametrize("where", CUTS)
def test_cut_connection_loses_and_doubles_nothing(
    drill: Drill, is_long: bool, where: str, make_calls: MakeCalls, proxy: TcpProxy, postgresql_url: str
) -> None:
    calls = make_calls(through(proxy, postgresql_url), MELODY_LOGS_WRITER="spool")
    cuts = drill.choose(20, 1)
    text, forwarded = CUTS[where]
    spool = state_of(calls.app).spool
    calls.record(20)
    for cut in range(1, cuts + 1):
        proxy.cut_at(text, forwarded=forwarded)
        calls.record(drill.random.randint(1, 200))
        wait_until(lambda: proxy.cuts >= cut, what="the cut")  # noqa: B023
        # Else the next one would be a second failure in a row, after which the drain rests longer.
        wait_until(lambda: not spool.waiting().entries, what="the rows after the cut")
    drill.expect(f"cut {where}: cuts", expected=cuts, measured=proxy.cuts, held=proxy.cuts >= cuts)
    calls.expect_all_once(drill, f"cut {where}")


@pytest.mark.fault("F10")
@pytest.mark.parametrize("is_long", SHORT_AND_LONG)
def test_reset_connections_lose_and_double_nothing(
    drill: Drill, is_long: bool, make_calls: MakeCalls, proxy: TcpProxy, postgresql_url: str
) -> None:
    calls = make_calls(through(proxy, postgresql_url), MELODY_LOGS_WRITER="direct")
    calls.record(1)
    calls.forget_times()
    for _ in range(drill.choose(100, 5)):
        calls.record(drill.random.randint(1, 10))
        time.sleep(drill.random.uniform(0, 0.1))
        proxy.reset_all()
    drill.expect("RST: connections cut", expected="≥ 1", measured=proxy.cuts, held=proxy.cuts >= 1)
    slowest, bound = max(calls.seconds), drill.choose(0.3, 6)
    drill.expect(
        f"RST: slowest of {len(calls.seconds):,} calls",
        expected=f"≤ {1000 * bound:.0f} ms",
        measured=f"{1000 * slowest:.1f} ms",
        held=slowest <= bound,
    )
    calls.expect_all_once(drill, "RST")
