"""What a benchmark runs in: a PostgreSQL with stock settings, hosts with melody_logs, and a look at the machine."""

from __future__ import annotations

import os
import platform
import socket
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import psycopg
from flask import Flask
from sqlalchemy import make_url

from melody_logs import MelodyLogs
from melody_logs.state import state_of
from melody_logs.storage.schema import upgrade
from tests.servers.binaries import postgresql_binaries, redis_binaries
from tests.servers.postgresql import PostgresqlServer, fresh_database, running_postgresql
from tests.servers.processes import Process, free_port
from tests.servers.redis_server import RedisServer, running_redis

from .measuring import NotMeasured

_PROJECT = Path(__file__).parent.parent
#: The test server trades safety and memory for speed; commits and buffers must cost here what they cost a user.
_STOCK = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB", "max_wal_size": "4GB"}


@contextmanager
def stock_postgresql() -> Iterator[PostgresqlServer]:
    """Run a PostgreSQL with stock settings, but for a large ``max_wal_size``.

    :raise NotMeasured: if no program is found.
    """
    found = postgresql_binaries()
    if not found:
        raise NotMeasured('no PostgreSQL was found: install the package "postgresql", or run `make test` as root')
    with running_postgresql(found[0]) as server:
        with psycopg.connect(server.url(driver=""), autocommit=True) as connection:
            for name, value in _STOCK.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        server.stop()
        server.start()
        yield server


@contextmanager
def empty_database(address: str) -> Iterator[str]:
    """Create a database beside the one of the libpq *address* and yield its SQLAlchemy URL; drop it afterwards."""
    with fresh_database(address) as name:
        url = make_url(address).set(drivername="postgresql+psycopg", database=name)
        yield url.render_as_string(hide_password=False)


def libpq_address(database_url: str) -> str:
    """Turn SQLAlchemy's URL of a PostgreSQL into libpq's."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


def make_app(database_url: str, folder: Path, **config: object) -> Flask:
    """Make a host whose sign-ins and mail are recorded into *database_url*, with everything else by default."""
    app = Flask("benchmark", instance_path=str(folder))
    app.config.update(SECRET_KEY="benchmark", MELODY_LOGS_DATABASE_URI=database_url)
    app.config.update(MELODY_LOGS_ENABLE_SIGN_IN_LOG=True, MELODY_LOGS_ENABLE_EMAIL_LOG=True)
    app.config.update(config)
    MelodyLogs(app)
    return app


def make_host(database_url: str, folder: Path, **config: object) -> Flask:
    """Make such a host, and its tables."""
    app = make_app(database_url, folder, **config)
    upgrade(state_of(app).database)
    return app


@contextmanager
def measured_redis(folder: Path) -> Iterator[RedisServer]:
    """Run a Redis.

    :raise NotMeasured: if no program is found.
    """
    found = redis_binaries()
    if not found:
        raise NotMeasured('no Redis was found: install the package "redis-server", or run `make test` as root')
    with running_redis(found[0], folder) as server:
        yield server


def close_host(app: Flask) -> None:
    """End the drain thread and the connections of a host."""
    state = state_of(app)
    state.drain_thread.stop(10)
    state.spool.close()
    state.database.close()


@contextmanager
def serving(folder: Path, name: str, options: Sequence[str], environment: Mapping[str, str]) -> Iterator[int]:
    """Run gunicorn until the block ends, and yield its port; its output lies in *folder*."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "--log-level", "error"]
    command += ["--chdir", str(_PROJECT), *options]
    with Process(command, folder=folder, name=name, environment=environment) as server:
        server.wait_until(lambda: _accepts(port), timeout_seconds=60)
        yield port


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def describe_machine(server: str | None) -> str:
    """Say in one line what the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("flask", "sqlalchemy", "psycopg", "gunicorn"))
    database = f", PostgreSQL {server}" if server else ""
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}{database}, {packages}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
