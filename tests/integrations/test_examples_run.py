"""The examples are short, and start by the command that their first line gives."""

from __future__ import annotations

import sys

import httpx
import pytest

from tests.conftest import StartProcess
from tests.integrations.examples import EXAMPLES
from tests.servers.processes import free_port

NAMES = ("flask_login_app", "flask_security_app", "jwt_api", "oidc_client", "plain_sessions")


@pytest.mark.parametrize("name", NAMES)
def test_example_starts_by_its_own_command(name: str, start_process: StartProcess) -> None:
    first_line = (EXAMPLES / f"{name}.py").read_text().splitlines()[0]
    assert f"flask --app examples/{name}.py run" in first_line
    port = free_port()
    command = [sys.executable, "-m", "flask", "--app", str(EXAMPLES / f"{name}.py"), "run", "--port", str(port)]
    process = start_process(command, name=name)
    process.wait_for_output("Running on")
    assert httpx.get(f"http://127.0.0.1:{port}/").status_code < 500
    assert "Traceback" not in process.output


@pytest.mark.parametrize("name", NAMES)
def test_example_is_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 80
