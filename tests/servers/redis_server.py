"""A real Redis (or Valkey) for the tests: one server a test process, empty at the start of each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from .availability import missing
from .binaries import Binary, redis_binaries
from .server import Server

ADDRESS_VARIABLE = "TEST_REDIS_URL"


class RedisServer(Server):
    """A Redis on a free port that keeps its data in ``folder`` and loses nothing confirmed at kill -9."""

    name = "redis"

    def __init__(self, binary: Binary, folder: Path) -> None:
        super().__init__(folder)
        self.binary = binary

    @property
    def url(self) -> str:
        """The address of its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self, port: int) -> list[str | Path]:
        """Return the command that runs the server in the foreground on the port."""
        persistence = ["--dir", str(self.folder), "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        return [self.binary.path, "--bind", "127.0.0.1", "--port", str(port), *persistence]

    def answers(self, port: int) -> bool:
        """Return whether the server on the port answers and is the child that was started here."""
        try:
            with redis.Redis(port=port, socket_timeout=2) as client:
                information = client.info("server")
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        return bool(information["process_id"] == self.process.pid)


@contextmanager
def running_redis(binary: Binary, folder: Path) -> Iterator[RedisServer]:
    """Run a server from the program with its data in ``folder``; end it afterwards."""
    with RedisServer(binary, folder).running() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server of ours that a test may kill, pause and start again; it must be running at the test's end."""
    found = redis_binaries()
    if not found:
        missing("Redis", f"Set {ADDRESS_VARIABLE}, or let `make test` install it (as root), or install 'redis-server'.")
    with running_redis(found[0], tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The ``redis://`` URL of an empty database, emptied again after the test."""
    given = os.environ.get(ADDRESS_VARIABLE)
    if given:
        with redis.Redis.from_url(given) as client:
            # A database that holds something may be someone's: it is not ours to empty.
            if client.dbsize():
                pytest.fail(f"{ADDRESS_VARIABLE}={given!r} is not empty; give the address of an empty database.")
    url = given or request.getfixturevalue("redis_server").url
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()
