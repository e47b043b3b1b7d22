"""Recording a sign-in and a mail in process, against appending the same bytes to a bare SQLite file."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from flask import Flask

from melody_logs.state import state_of

from .measuring import Bar, Comparison, Round, Sizes, ratio
from .samples import REQUEST, SIGN_IN, empty_tables, make_mail, spooled_mail, spooled_sign_ins
from .surroundings import close_host, make_host

BURST = 50


@contextmanager
def recording_a_sign_in(database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Compare ``record_sign_in`` inside a request, while the drain thread empties the spool into PostgreSQL."""
    app = make_host(database_url, folder)
    record = make_calls(app)["sign-in"]
    says = "record_sign_in in a request / bare SQLite WAL append of the same bytes, median of calls"
    with _beside_bare_appends(app, folder, record, spooled_sign_ins(1)[0], 200 if sizes.quick else 2000) as measure:
        yield Comparison("record-sign-in", says, "µs", measure, [ratio("ours", "bare", Bar("<=", 4))])


@contextmanager
def recording_a_mail(database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Compare ``record_email`` of 4 KB of HTML, redaction included, in the same way."""
    app = make_host(database_url, folder)
    record = make_calls(app)["mail"]
    says = "record_email of 4 KB HTML in a request, redacted / bare SQLite WAL append of the same bytes"
    with _beside_bare_appends(app, folder, record, spooled_mail(), 100 if sizes.quick else 1000) as measure:
        yield Comparison("record-mail", says, "µs", measure, [ratio("ours", "bare", Bar("<=", 12))])


def make_calls(app: Flask) -> Mapping[str, Callable[[], object]]:
    """Give what records a sign-in and a mail; call them in a request of *app*."""
    recorder = state_of(app).recorder
    mail = make_mail()
    return {
        "sign-in": lambda: recorder.record_sign_in(dict(SIGN_IN)),
        "mail": lambda: recorder.record_message("email", dict(mail)),
    }


@contextmanager
def _beside_bare_appends(
    app: Flask, folder: Path, record: Callable[[], object], body: bytes, calls: int
) -> Iterator[Callable[[int], Round]]:
    """Calls of both sides come in turns in one process: the drain takes its share of the interpreter from both."""
    with closing(_bare_spool(folder / "bare.sqlite")) as bare, app.test_request_context(**REQUEST):
        functions = {"ours": record, "bare": lambda: bare.execute("INSERT INTO entry (body) VALUES (?)", (body,))}
        try:
            yield partial(_medians, functions, calls)
        finally:
            close_host(app)
            empty_tables(state_of(app).database)
            state_of(app).database.close()


def _medians(functions: Mapping[str, Callable[[], object]], calls: int, number: int) -> Round:
    seconds: dict[str, list[float]] = {side: [] for side in functions}
    for _ in range(calls // BURST):
        for side, function in functions.items():
            seconds[side] += time_calls(function, BURST)
    return {side: statistics.median(taken) * 1e6 for side, taken in seconds.items()}


def time_calls(function: Callable[[], object], calls: int) -> list[float]:
    """Time each of some calls, in seconds."""
    taken = []
    for _ in range(calls):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return taken


def _bare_spool(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE entry (number INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    return connection
