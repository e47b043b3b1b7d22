"""Finding the locations of a backlog, against a bare loop that selects, looks up and updates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import maxminddb
import psycopg
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from melody_logs.jobs.locate import locate_pending
from melody_logs.state import State, state_of

from .measuring import Bar, Comparison, Sizes, in_turns, ratio
from .samples import empty_tables, seed_sign_ins
from .surroundings import close_host, libpq_address, make_host

BATCH_ROWS = 500
_WAITING = """
SELECT id, ip FROM melody_logs.melody_sign_in_log WHERE geo_state = 'pending' ORDER BY id LIMIT %s
"""
SELECT_ONE = "SELECT ip FROM melody_logs.melody_sign_in_log WHERE id = %s"
WRITE = """
UPDATE melody_logs.melody_sign_in_log SET country = %s, continent = %s, region = %s, city = %s, timezone = %s,
  latitude = %s, longitude = %s, geo_state = 'done' WHERE id = %s
"""


@contextmanager
def locating_a_backlog(database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Compare rows a second over the same backlog and the same City file, made for this with a place for each /16."""
    count = sizes.choose(100_000, 1000)
    file = folder / "places.mmdb"
    write_places(file)
    app = make_host(database_url, folder, MELODY_LOGS_GEOIP_DATABASE=(str(file),))
    state = state_of(app)
    with (
        psycopg.connect(libpq_address(database_url)) as connection,
        maxminddb.open_database(file, maxminddb.MODE_MMAP_EXT) as reader,
    ):
        try:
            yield Comparison(
                name="locate",
                says=f"locating {count:,} sign-ins / bare loop of select, look-up and update by {BATCH_ROWS}",
                unit="rows/s",
                measure=in_turns(
                    ours=partial(_locate, state, count),
                    bare=partial(_locate_bare, state, connection, reader, count),
                ),
                criteria=[ratio("ours", "bare", Bar(">=", 0.6))],
            )
        finally:
            connection.rollback()
            empty_tables(state.database)
            close_host(app)


def _locate(state: State, count: int) -> float:
    seed_sign_ins(state.database, count, located=False)
    start = time.perf_counter()
    settled = locate_pending(state.database, state.locator, budget_seconds=3600, batch_rows=BATCH_ROWS)
    taken = time.perf_counter() - start
    if settled != count:
        raise RuntimeError(f"{settled} of {count} sign-ins were located")
    return count / taken


def _locate_bare(state: State, connection: psycopg.Connection[Any], reader: maxminddb.Reader, count: int) -> float:
    seed_sign_ins(state.database, count, located=False)
    settled = 0
    start = time.perf_counter()
    while rows := connection.execute(_WAITING, (BATCH_ROWS,)).fetchall():
        found = [(*pick(reader.get(ip)), row_id) for row_id, ip in rows]
        with connection.cursor() as cursor:
            cursor.executemany(WRITE, found)
        connection.commit()
        settled += len(found)
    connection.commit()
    taken = time.perf_counter() - start
    if settled != count:
        raise RuntimeError(f"{settled} of {count} sign-ins were located")
    return count / taken


def pick(record: Any) -> tuple[Any, ...]:
    """Give the columns that the bare statement writes, from a record of the City file."""
    return (
        record["country"]["iso_code"],
        record["continent"]["code"],
        record["subdivisions"][0]["names"]["en"],
        record["city"]["names"]["en"],
        record["location"]["time_zone"],
        record["location"]["latitude"],
        record["location"]["longitude"],
    )


def write_places(file: Path) -> None:
    """Write a City file with a place for each /16 that the benchmark's addresses lie in."""
    writer = MMDBWriter(4, "GeoLite2-City", ["en"], "made for a benchmark")
    for first in range(11, 100):
        for second in range(0, 256):
            writer.insert_network(IPSet([f"{first}.{second}.0.0/16"]), _place(first * 256 + second))
    writer.to_db_file(str(file))


def _place(number: int) -> dict[str, Any]:
    return {
        "city": {"names": {"en": f"City {number}"}},
        "continent": {"code": "EU"},
        "country": {"iso_code": "NL"},
        "location": {"latitude": number % 90 + 0.5, "longitude": number % 180 + 0.25, "time_zone": "Europe/Amsterdam"},
        "subdivisions": [{"iso_code": "NH", "names": {"en": f"Region {number % 500}"}}],
    }
