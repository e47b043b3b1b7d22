"""docker-compose.yml, the Dockerfile and the app they run; Docker itself is not needed to check them."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from melody_logs.settings import describe
from melody_logs.state import state_of
from melody_logs.storage.schema import upgrade
from tests.hosts import close_host

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of docker-compose.yml."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return loaded


def test_every_service_is_there_and_watched(services: dict[str, Any]) -> None:
    assert set(services) == {"web", "worker", "beat", "tables", "postgresql", "redis"}
    for name, service in services.items():
        # The one that makes the tables ends; it is waited for by its exit code.
        assert name == "tables" or service["healthcheck"]["test"], name


def test_host_containers_share_the_spool_and_wait_for_the_tables(services: dict[str, Any]) -> None:
    for name in ("web", "worker", "beat"):
        service = services[name]
        folder = service["environment"]["FLASK_MELODY_LOGS_SPOOL_DIR"]
        assert f"spool:{folder}" in service["volumes"]
        assert service["depends_on"]["tables"]["condition"] == "service_completed_successfully"
        assert service["environment"] == services["web"]["environment"]


def test_only_the_web_container_is_reached_and_only_from_this_machine(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 1
    assert ports[0].startswith("127.0.0.1:")


def test_every_setting_in_the_file_exists(services: dict[str, Any]) -> None:
    known = {f"FLASK_{name}" for name, *_ in describe()}
    used = {name for name in services["web"]["environment"] if name.startswith("FLASK_MELODY_LOGS_")}
    assert used <= known


def test_no_secret_has_a_default(services: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "ADMIN_PASSWORD"):
        assert set(re.findall(rf"\$\{{{name}(:.)", text)) == {":?"}, name


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_commands_of_the_celery_containers_are_accepted(services: dict[str, Any], name: str) -> None:
    """Celery parses the command line; ``--help`` keeps it from starting."""
    program, *arguments = shlex.split(services[name]["command"])
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments[2:], "--help"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_app_of_the_containers_records_a_sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "FLASK_SECRET_KEY": "test",
        "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'host.db'}",
        "FLASK_MELODY_LOGS_ENABLE_SIGN_IN_LOG": "true",
        "FLASK_MELODY_LOGS_SPOOL_DIR": str(tmp_path / "spool"),
        "FLASK_WTF_CSRF_ENABLED": "false",
        "ADMIN_EMAIL": "admin@example.org",
        "ADMIN_PASSWORD": "right",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app: Flask = runpy.run_path(str(ROOT / "examples" / "host_app.py"))["create_app"]()
    upgrade(state_of(app).database)
    client = app.test_client()
    try:
        assert client.get("/").status_code == 200
        assert client.post("/sign-in", data={"email": "admin@example.org", "password": "wrong"}).status_code == 401
        assert client.get("/admin/logs/").status_code == 403
        assert client.post("/sign-in", data={"email": "admin@example.org", "password": "right"}).status_code == 303
        state_of(app).drain.run_once()
        page = client.get("/admin/logs/")
        assert page.status_code == 200
        assert page.text.count("admin@example.org") >= 2
    finally:
        close_host(app)
