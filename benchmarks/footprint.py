"""Memory, descriptors and threads of a process that records and drains: flat after it is warm, or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.servers.resources import Resources, read_resources

from .children import Child, answering
from .measuring import Bar, Comparison, NotMeasured, Round, Sizes, value
from .surroundings import close_host, make_host

RECORDS = 200_000
PARTS = 10
_MEBIBYTE = 2**20


@contextmanager
def footprint_of_a_process(database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Record in ten parts, each drained to the end, and compare the most that the process held after a part with what
    it held when the round before was over. The first round, which does not count, warms it.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        raise NotMeasured("this system does not tell what a process holds")
    part = 20 if sizes.quick else RECORDS // PARTS
    close_host(make_host(database_url, folder))
    environment = {
        "BENCHMARK_DATABASE_URL": database_url,
        "BENCHMARK_FOLDER": str(folder),
        "BENCHMARK_BROKER": "memory://",
    }
    with answering("benchmarks.trouble_twin", ["sign-in"], folder, "process", environment) as child:
        held = [read_resources(child.pid)]
        yield Comparison(
            name="footprint",
            says=f"what a process gained over {part * PARTS:,} sign-ins, recorded and drained, once warm",
            unit="(MiB, or number)",
            measure=partial(_measure, child, part, held),
            criteria=[
                value("resident", Bar("<=", 5)),
                value("unique", Bar("<=", 5)),
                value("descriptors", Bar("<=", 0)),
                value("threads", Bar("<=", 0)),
            ],
        )


def _measure(child: Child, part: int, held: list[Resources], number: int) -> Round:
    parts = [_record(child, part) for _ in range(PARTS)]
    start, most = held[-1], Resources(*map(max, zip(*parts, strict=True)))
    held.append(parts[-1])
    return {
        "resident": (most.resident_bytes - start.resident_bytes) / _MEBIBYTE,
        "unique": (most.unique_bytes - start.unique_bytes) / _MEBIBYTE,
        "descriptors": most.descriptors - start.descriptors,
        "threads": most.threads - start.threads,
    }


def _record(child: Child, count: int) -> Resources:
    child.ask(times=count)
    child.ask(settle=True)
    return read_resources(child.pid)
