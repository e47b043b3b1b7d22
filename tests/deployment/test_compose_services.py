"""The services of docker-compose.yml run by their very commands, on the installed wheel, with PostgreSQL and Redis."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import yaml
from sqlalchemy import select

from melody_logs.storage.models import Heartbeat
from tests.conftest import StartProcess
from tests.packaging.builds import ROOT
from tests.servers.binaries import postgresql_binaries, redis_binaries
from tests.servers.postgresql import PostgresqlServer
from tests.servers.processes import free_port, wait_until
from tests.servers.redis_server import RedisServer
from tests.storage.rows import make_database

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@dataclass
class Containers:
    """What the image and docker-compose.yml give to each container, here on the loopback address and a free port."""

    python: Path
    folder: Path
    port: int
    environment: dict[str, str]

    def command(self, service: str) -> list[str]:
        """The command of a service, from docker-compose.yml or else the image."""
        given = COMPOSE[service].get("command")
        (image,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.M)
        return self._here(shlex.split(given) if given else json.loads(image))

    def is_healthy(self, service: str, **environment: str) -> bool:
        """Run the health check of a service, as Docker does, and say whether it is content."""
        kind, *words = COMPOSE[service]["healthcheck"]["test"]
        assert kind == "CMD"
        settings = {**os.environ, **self.environment, **environment}
        done = subprocess.run(self._here(words), cwd=self.folder, env=settings, capture_output=True, timeout=60)
        return done.returncode == 0

    def _here(self, words: list[str]) -> list[str]:
        words = [word.replace("0.0.0.0", "127.0.0.1").replace(":8000", f":{self.port}") for word in words]
        if words[0] == "python":
            return [str(self.python), *words[1:]]
        # The environment has the locked packages without their console scripts.
        return [str(self.python), "-m", *words]


class ComposedRedis(RedisServer):
    """Redis with the options of docker-compose.yml."""

    def command(self, port: int) -> list[str | Path]:
        """Return the command of the service, with the test's port and folder."""
        _, *options = shlex.split(COMPOSE["redis"]["command"])
        return [self.binary.path, *options, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(self.folder)]


@pytest.fixture
def containers(installed_python: Path, tmp_path: Path, postgresql_url: str) -> Containers:
    """The host app in a folder of its own, with the environment that web, worker and beat share."""
    shutil.copy(ROOT / "examples" / "host_app.py", tmp_path)
    environment = {name: str(value) for name, value in COMPOSE["web"]["environment"].items()}
    (variables,) = re.findall(r"^ENV (.*)$", DOCKERFILE, re.M)
    environment |= dict(word.split("=", 1) for word in shlex.split(variables))
    assert environment["FLASK_SQLALCHEMY_DATABASE_URI"].startswith("postgresql+psycopg://")
    environment |= {
        "FLASK_SQLALCHEMY_DATABASE_URI": postgresql_url,
        "FLASK_MELODY_LOGS_SPOOL_DIR": str(tmp_path / "spool"),
        **{"FLASK_SECRET_KEY": "a key for tests", "ADMIN_EMAIL": "admin@example.org", "ADMIN_PASSWORD": "right"},
    }
    assert not [name for name, value in environment.items() if "${" in value]
    return Containers(installed_python, tmp_path, free_port(), environment)


def test_services_work_together(
    containers: Containers, postgresql_url: str, tmp_path: Path, start_process: StartProcess
) -> None:
    (tmp_path / "redis").mkdir()
    broker = ComposedRedis(redis_binaries()[0], tmp_path / "redis")
    broker.start()
    assert containers.environment["MELODY_WORKER_BROKER_URL"] == "redis://redis:6379/0"
    containers.environment["MELODY_WORKER_BROKER_URL"] = broker.url
    try:
        assert not containers.is_healthy("web"), "nothing serves yet"
        assert not containers.is_healthy("worker"), "there are no tables yet"
        tables = start_process(containers.command("tables"), name="tables", environment=containers.environment)
        assert tables.wait() == 0, tables.output
        web, worker, beat = (
            start_process(containers.command(name), name=name, environment=containers.environment)
            for name in ("web", "worker", "beat")
        )
        web.wait_until(lambda: containers.is_healthy("web"))
        assert "admin@example.org" in sign_in_and_read(f"http://127.0.0.1:{containers.port}")
        database = make_database(postgresql_url)

        def seen() -> set[str]:
            with database.read() as connection:
                return set(connection.scalars(select(Heartbeat.name)))

        worker.wait_until(lambda: seen() == {"worker", "beat"}, what="seen")
        assert containers.is_healthy("worker") and containers.is_healthy("beat")
        assert beat.running
        assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
        for process in (worker, beat):
            process.kill()
    finally:
        broker.stop()


def sign_in_and_read(url: str) -> str:
    """Fail to sign in, then succeed, and return the list of sign-ins once both attempts are in it."""
    with httpx.Client(base_url=url, follow_redirects=True) as browser:
        for password, code in (("wrong", 401), ("right", 200)):
            token = re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get("/").text)
            form = {"email": "admin@example.org", "password": password, "csrf_token": token[0]}
            assert browser.post("/sign-in", data=form).status_code == code
        listed = ""

        def both_are_listed() -> bool:
            nonlocal listed
            listed = browser.get("/admin/logs/sign-in").text
            return listed.count("admin@example.org") >= 2

        wait_until(both_are_listed, what="both attempts in the list")
        return listed


def test_health_checks_of_the_servers(postgresql_server: PostgresqlServer, redis_server: RedisServer) -> None:
    """PostgreSQL's by its own program, Redis' by what its program asks."""
    kind, program, *options = COMPOSE["postgresql"]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "pg_isready")
    found = postgresql_binaries()[0].path.with_name(program)
    for port, code in ((postgresql_server.port, 0), (free_port(), 2)):
        where = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port)}
        assert subprocess.run([found, *options], env=where, capture_output=True).returncode == code
    assert COMPOSE["redis"]["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.execute_command("ping")
