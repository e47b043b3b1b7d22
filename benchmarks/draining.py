"""The drain from the spool into PostgreSQL, against executemany of the same rows into the same table."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from melody_logs.recording.entries import from_json, to_row
from melody_logs.state import State, state_of

from .measuring import Bar, Comparison, Sizes, in_turns, ratio
from .samples import empty_tables, spooled_sign_ins, vacuum
from .surroundings import close_host, libpq_address, make_host

BATCH_ROWS = 1000


@contextmanager
def draining_a_spool(database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Compare rows a second: everything the drain does, against prepared tuples, a commit every thousand."""
    count = sizes.choose(20_000, 1000)
    app = make_host(database_url, folder, MELODY_LOGS_DRAIN_IN_PROCESS=False)
    state = state_of(app)
    entries = spooled_sign_ins(count)
    columns, tuples = _as_tuples(entries)
    with psycopg.connect(libpq_address(database_url)) as connection:
        try:
            yield Comparison(
                name="drain",
                says=f"{count:,} entries from the spool into PostgreSQL / psycopg executemany by {BATCH_ROWS:,}",
                unit="rows/s",
                measure=in_turns(
                    ours=partial(_drain, state, entries),
                    bare=partial(_insert, state, connection, columns, tuples),
                ),
                criteria=[ratio("ours", "bare", Bar(">=", 0.5))],
            )
        finally:
            connection.rollback()
            empty_tables(state.database)
            close_host(app)


def _drain(state: State, entries: Sequence[bytes]) -> float:
    empty_tables(state.database)
    vacuum(state.database)
    for entry in entries:
        state.spool.append("sign-in", entry)
    start = time.perf_counter()
    # One pass ends when everything that waits is written and deleted from the spool.
    drained = state.drain.run_once(adopt=False)
    taken = time.perf_counter() - start
    if drained != len(entries):
        raise RuntimeError(f"{drained} of {len(entries)} entries were drained")
    return drained / taken


def _insert(
    state: State, connection: psycopg.Connection[Any], columns: Sequence[str], tuples: Sequence[tuple[Any, ...]]
) -> float:
    empty_tables(state.database)
    vacuum(state.database)
    marks = ", ".join(["%s"] * len(columns))
    statement = f"INSERT INTO melody_logs.melody_sign_in_log ({', '.join(columns)}) VALUES ({marks})"
    start = time.perf_counter()
    for first in range(0, len(tuples), BATCH_ROWS):
        with connection.cursor() as cursor:
            cursor.executemany(statement, tuples[first : first + BATCH_ROWS])
        connection.commit()
    return len(tuples) / (time.perf_counter() - start)


def _as_tuples(entries: Sequence[bytes]) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Make the rows that the drain would write, ready for the driver."""
    now = datetime.now(UTC)
    columns: list[str] = []
    tuples = []
    for number, entry in enumerate(entries, start=1):
        values = to_row(from_json(entry)).values
        values |= {"position": number, "version": 1, "recorded_at": now, "updated_at": now, "stored_bytes": 640}
        values |= {"geo_attempts": 0}
        columns = columns or list(values)
        tuples.append(tuple(values[name] for name in columns))
    return columns, tuples
