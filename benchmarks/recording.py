"""Recording a sign-in in process, against appending the same bytes to a bare SQLite file."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from melody_logs.state import state_of

from .measuring import Bar, Comparison, Sizes
from .samples import REQUEST, SIGN_IN, empty_tables, spooled_sign_ins
from .surroundings import close_host, make_host

BURST = 50


@contextmanager
def recording_a_sign_in(database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Compare ``record_sign_in`` inside a request, while the drain thread empties the spool into PostgreSQL.

    Calls of both sides come in turns, fifty at a time, in the same process: the drain takes its share of the
    interpreter from both.
    """
    calls = 200 if sizes.quick else 2000
    app = make_host(database_url, folder)
    recorder = state_of(app).recorder
    body = spooled_sign_ins(1)[0]
    bare = _bare_spool(folder / "bare.sqlite")
    with app.test_request_context(**REQUEST):
        pair = Turns(
            lambda: recorder.record_sign_in(dict(SIGN_IN)),
            lambda: bare.execute("INSERT INTO entry (body) VALUES (?)", (body,)),
            calls,
        )
        try:
            yield Comparison(
                name="record-sign-in",
                says="record_sign_in in a request / bare SQLite WAL append of the same bytes, median of calls",
                bar=Bar("<=", 5),
                unit="µs",
                ours=pair.first,
                bare=pair.second,
            )
        finally:
            bare.close()
            close_host(app)
            empty_tables(state_of(app).database)
            state_of(app).database.close()


class Turns:
    """Times two functions in one run, in turns; either side's number starts the run, the other's reads it."""

    def __init__(self, first: Callable[[], object], second: Callable[[], object], calls: int) -> None:
        self._functions = (first, second)
        self._calls = calls
        self._waiting: dict[int, float] = {}

    def first(self) -> float:
        """Give the median of the first function's calls, in microseconds."""
        return self._read(0)

    def second(self) -> float:
        """Give the median of the second function's calls, in microseconds."""
        return self._read(1)

    def _read(self, side: int) -> float:
        if side not in self._waiting:
            self._run()
        return self._waiting.pop(side)

    def _run(self) -> None:
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(self._calls // BURST):
            for function, taken in zip(self._functions, seconds, strict=True):
                for _ in range(BURST):
                    start = time.perf_counter()
                    function()
                    taken.append(time.perf_counter() - start)
        self._waiting = {side: statistics.median(taken) * 1e6 for side, taken in enumerate(seconds)}


def _bare_spool(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE entry (number INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    return connection
