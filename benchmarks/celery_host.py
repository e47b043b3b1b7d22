"""The Celery app of the worker that is measured: the tasks of melody_logs, and the usual task for each id."""

from __future__ import annotations

import os
from pathlib import Path

import maxminddb
import psycopg
from celery import Celery
from flask import Flask

from melody_logs.tasks import beat_schedule

from .locating import SELECT_ONE, WRITE, pick
from .surroundings import libpq_address, make_app


def create_host() -> Flask:
    """Make the host; the environment names its database, its folder and the City file."""
    folder, file = Path(os.environ["BENCHMARK_FOLDER"]), os.environ["BENCHMARK_PLACES"]
    return make_app(os.environ["BENCHMARK_DATABASE_URL"], folder, MELODY_LOGS_GEOIP_DATABASE=(file,))


def create_celery(host: Flask) -> Celery:
    """Make the Celery app; the environment names the broker."""
    celery = Celery(host.name, broker=os.environ["BENCHMARK_BROKER"])
    celery.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
    celery.set_default()
    beat_schedule(host)
    # Kept, as a host that cares would: what is measured is the price of a message and a commit for each id.
    connection = psycopg.connect(libpq_address(os.environ["BENCHMARK_DATABASE_URL"]))
    reader = maxminddb.open_database(os.environ["BENCHMARK_PLACES"], maxminddb.MODE_MMAP_EXT)

    @celery.task(name="benchmark.locate_one")
    def locate_one(row_id: int) -> None:
        found = connection.execute(SELECT_ONE, (row_id,)).fetchone()
        if found is not None:
            connection.execute(WRITE, (*pick(reader.get(found[0])), row_id))
        connection.commit()

    return celery


host = create_host()
app = create_celery(host)
