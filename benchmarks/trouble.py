"""Recording while something is wrong, against a healthy twin: PostgreSQL frozen, Redis frozen, a backlog that drains.

The twins are processes of their own, each with its own spool and its own PostgreSQL, and are asked in turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from tests.servers.server import Server

from .children import Child, answering
from .measuring import Bar, Comparison, Criterion, Round, Sizes, ratio
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
        begin = partial(_begin, twins["troubled"], servers.get(trouble), megabytes)
        measure = partial(_measure, twins, begin, calls, trouble == "backlog")
        yield Comparison(
            name=f"{trouble}-{kind}",
            says=f"recording a {kind} with {_SAYS[trouble].format(megabytes)} / a healthy twin, {calls:,} calls each",
            unit="µs",
            measure=measure,
            criteria=[
                ratio("troubled median", "healthy median", Bar("<=", 1.2)),
                ratio("troubled p99.9", "healthy p99.9", Bar("<=", 3)),
                *([_BACKLOG_LASTED] if trouble == "backlog" and not sizes.quick else []),
            ],
        )


_SAYS = {
    "postgresql-frozen": "PostgreSQL frozen",
    "redis-frozen": "Redis frozen",
    "backlog": "{} MB of backlog being drained",
}
_BACKLOG_LASTED = Criterion("backlog left at the end, bytes", Bar(">=", 1), lambda numbers: numbers["left (bytes)"])


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


def _begin(twin: Child, frozen: Server | None, megabytes: int) -> AbstractContextManager[object]:
    if frozen is not None:
        return _frozen(frozen)
    twin.ask(backlog_bytes=megabytes * 2**20)
    return nullcontext()


@contextmanager
def _frozen(server: Server) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


def _measure(
    twins: dict[str, Child],
    begin: Callable[[], AbstractContextManager[object]],
    calls: int,
    is_backlog: bool,
    number: int,
) -> Round:
    taken: dict[str, list[float]] = {name: [] for name in twins}
    with begin():
        for turn in range(TURNS):
            order = list(twins.items()) if (number + turn) % 2 else list(reversed(twins.items()))
            for name, twin in order:
                taken[name] += twin.ask(times=calls // TURNS)["seconds"]
        left = float(twins["troubled"].ask(left=True)["bytes"])
    for twin in twins.values():
        twin.ask(settle=True)
    numbers = {"left (bytes)": left} if is_backlog else {}
    for name, seconds in taken.items():
        numbers[f"{name} median"] = statistics.median(seconds) * 1e6
        numbers[f"{name} p99.9"] = _percentile(seconds, 99.9) * 1e6
    return numbers


def _percentile(values: Sequence[float], percent: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]
