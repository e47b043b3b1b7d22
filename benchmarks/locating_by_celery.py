"""Finding locations through Celery: our sweeps, against one task an id, in the same worker over the same Redis."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from celery import Celery

from melody_logs.state import state_of
from melody_logs.storage.database import Database
from tests.servers.processes import Process

from .children import PROJECT
from .locating import write_places
from .measuring import Bar, Comparison, Sizes, in_turns, ratio
from .samples import seed_sign_ins
from .surroundings import close_host, libpq_address, make_host, measured_redis

#: As beat does; a tick that waited as long as that is dropped.
TICK_SECONDS = 2.0
LONGEST_SECONDS = 300.0
_IS_DONE = "SELECT NOT EXISTS (SELECT FROM melody_logs.melody_sign_in_log WHERE geo_state = 'pending')"


@contextmanager
def locating_through_celery(database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Compare ids a second of one worker process, from the moment it may take messages to the last location."""
    sweep_ids, single_ids = sizes.choose(100_000, 1000), 50 if sizes.quick else 2000
    places = folder / "places.mmdb"
    write_places(places)
    app = make_host(database_url, folder)
    database = state_of(app).database
    with measured_redis(folder) as redis, Celery("client", broker=redis.url) as celery:
        environment = {
            "BENCHMARK_DATABASE_URL": database_url,
            "BENCHMARK_FOLDER": str(folder),
            "BENCHMARK_PLACES": str(places),
            "BENCHMARK_BROKER": redis.url,
            "PYTHONPATH": str(PROJECT),
        }
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.celery_host", "worker", "--pool", "solo"]
        command += ["--without-gossip", "--without-mingle", "--loglevel", "ERROR"]
        with (
            Process(command, folder=folder, name="worker", environment=environment) as worker,
            psycopg.connect(libpq_address(database_url), autocommit=True) as connection,
        ):

            def sweep() -> float:
                return _measure(database, connection, worker, sweep_ids, lambda: _send_tick(celery))

            def one_by_one() -> float:
                def send() -> None:
                    for row_id in range(1, single_ids + 1):
                        celery.send_task("benchmark.locate_one", (row_id,))

                return _measure(database, connection, worker, single_ids, send, again=False)

            yield Comparison(
                name="locate-celery",
                says=f"sweeps of {sweep_ids:,} sign-ins / {single_ids:,} tasks of one id, one worker (solo), Redis",
                unit="ids/s",
                measure=in_turns(sweeps=sweep, singles=one_by_one),
                criteria=[ratio("sweeps", "singles", Bar(">=", 5))],
            )
    close_host(app)


def _send_tick(celery: Celery) -> None:
    celery.send_task("melody_logs.locate_pending", expires=TICK_SECONDS)


def _measure(
    database: Database,
    connection: psycopg.Connection,
    worker: Process,
    count: int,
    send: Callable[[], None],
    *,
    again: bool = True,
) -> float:
    """Let *count* rows wait and the messages be sent while the worker is frozen, then time it."""
    worker.pause()
    seed_sign_ins(database, count, located=False)
    send()
    worker.resume()
    start = last_sent = time.perf_counter()
    while not connection.execute(_IS_DONE).fetchall()[0][0]:
        now = time.perf_counter()
        if now - start > LONGEST_SECONDS or not worker.running:
            raise RuntimeError(f"the worker did not locate {count} sign-ins:\n{worker.output[-2000:]}")
        if again and now - last_sent >= TICK_SECONDS:
            send()
            last_sent = now
        time.sleep(0.01)
    rate = count / (time.perf_counter() - start)
    if last_sent != start:
        # Till the ticks that came too late are dropped.
        time.sleep(TICK_SECONDS)
    return rate
