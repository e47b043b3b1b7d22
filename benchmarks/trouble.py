"""Recording while something is wrong, against a healthy twin: PostgreSQL frozen, Redis frozen, a backlog that drains.

The twins are processes of their own, each with its own spool and its own PostgreSQL, and are asked in turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.servers.server import Server

from .children import Child, answering
from .measuring import Bar, Comparison, Round, Sizes, ratio, value
from .surroundings import close_host, empty_database, libpq_address, make_host, measured_redis, stock_postgresql

TROUBLES = ("postgresql-frozen", "redis-frozen", "backlog")
CALLS = 10_000
TURNS = 20
BACKLOG_MEGABYTES = 200


@contextmanager
def recording_in_trouble(
    trouble: str, kind: str, database_url: str, folder: Path, sizes: Sizes
) -> Iterator[Comparison]:
    """Compare the median and the 99.9th percentile of at least ten thousand calls of each twin, 500 in turns."""
    calls = 200 if sizes.quick else CALLS
    megabytes = 1 if sizes.quick else BACKLOG_MEGABYTES
    with ExitStack() as stack:
        servers: dict[str, Server] = {"redis-frozen": stack.enter_context(measured_redis(folder))}
        address = libpq_address(database_url)
        if trouble == "postgresql-frozen":
            postgresql = stack.enter_context(stock_postgresql())
            servers[trouble], address = postgresql, postgresql.url(driver="")
        twin_url = stack.enter_context(empty_database(address))
        urls = {"healthy": database_url, "troubled": twin_url}
        twins = {
            name: stack.enter_context(_twin(name, kind, url, servers["redis-frozen"], folder))
            for name, url in urls.items()
        }
        backlog_bytes = megabytes * 2**20 if trouble == "backlog" else 0
        measure = partial(_measure, twins, servers.get(trouble), calls // TURNS, backlog_bytes)
        yield Comparison(
            name=f"{trouble}-{kind}",
            says=f"recording a {kind} with {_SAYS[trouble].format(megabytes)} / a healthy twin, {calls:,} calls each",
            unit="µs",
            measure=measure,
            criteria=[
                ratio("troubled median", "healthy median", Bar("<=", 1.2)),
                ratio("troubled p99.9", "healthy p99.9", Bar("<=", 3)),
                # On a machine that does much else the healthy twin is as slow, and the bar above means nothing.
                ratio("healthy p99.9", "healthy median", Bar("<=", 100)),
                *([_BACKLOG_LASTED] if trouble == "backlog" and not sizes.quick else []),
            ],
        )


_SAYS = {
    "postgresql-frozen": "PostgreSQL frozen",
    "redis-frozen": "Redis frozen",
    "backlog": "{} MB of backlog being drained",
}
#: Entries are drained in the order in which they came: what waits after a turn, beyond its own calls, is backlog.
_BACKLOG_LASTED = value("backlog left (entries)", Bar(">=", 1))


def _twin(name: str, kind: str, database_url: str, broker: Server, folder: Path) -> AbstractContextManager[Child]:
    own = folder / name
    own.mkdir()
    close_host(make_host(database_url, own))
    environment = {
        "BENCHMARK_DATABASE_URL": database_url,
        "BENCHMARK_FOLDER": str(own),
        "BENCHMARK_BROKER": f"redis://127.0.0.1:{broker.port}/0",
    }
    return answering("benchmarks.trouble_twin", [kind], folder, name, environment)


@contextmanager
def _frozen(server: Server | None) -> Iterator[None]:
    if server is None:
        yield
        return
    server.pause()
    try:
        yield
    finally:
        server.resume()


def _measure(twins: dict[str, Child], frozen: Server | None, calls: int, backlog_bytes: int, number: int) -> Round:
    taken: dict[str, list[float]] = {name: [] for name in twins}
    left = []
    with _frozen(frozen):
        for turn in range(TURNS):
            order = list(twins.items()) if (number + turn) % 2 else list(reversed(twins.items()))
            for name, twin in order:
                fills = backlog_bytes > 0 and name == "troubled"
                if fills:
                    # The drain is faster than the calls: what it has made of the first 200 MB is filled up.
                    twin.ask(backlog_bytes=backlog_bytes // (5 if turn else 1))
                taken[name] += twin.ask(times=calls)["seconds"]
                if fills:
                    left.append(twin.ask(left=True)["entries"] - calls)
    for twin in twins.values():
        twin.ask(settle=True)
    numbers: dict[str, float] = {"backlog left (entries)": min(left)} if left else {}
    for name, seconds in taken.items():
        numbers[f"{name} median"] = statistics.median(seconds) * 1e6
        numbers[f"{name} p99.9"] = _percentile(seconds, 99.9) * 1e6
    return numbers


def _percentile(values: Sequence[float], percent: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]
