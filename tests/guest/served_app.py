"""A host for real servers: it records a sign-in for each POST and says what its process has of ours."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from flask import Flask, request

from melody_logs import MelodyLogs
from melody_logs.health import check_health
from melody_logs.state import state_of

DRAIN = "melody_logs drain"
logs = MelodyLogs()
logs.watch_sign_in("sign_in", outcome=lambda response: response.status_code < 400)


def create_app() -> Flask:
    """Make the host; its folder and database are those that the environment names."""
    if os.environ.get("TEST_HOST_THREADS") == "none":
        # No machine has room for such a stack: the operating system refuses every thread from now on.
        threading.stack_size(2**47)
    app = Flask("served", instance_path=os.environ["TEST_HOST_FOLDER"])
    app.config.update(
        SECRET_KEY="test",
        MELODY_LOGS_DATABASE_URI=os.environ["TEST_HOST_DATABASE_URL"],
        MELODY_LOGS_ENABLE_SIGN_IN_LOG=True,
        MELODY_LOGS_DRAIN_IN_PROCESS=os.environ.get("TEST_HOST_DRAIN", "true"),
    )
    if "TEST_HOST_SPOOL" in os.environ:
        app.config["MELODY_LOGS_SPOOL_DIR"] = os.environ["TEST_HOST_SPOOL"]
    logs.init_app(app)
    app.add_url_rule("/sign-in", "sign_in", sign_in, methods=["POST"])
    app.add_url_rule("/facts", "facts", tell_facts)
    app.add_url_rule("/findings", "findings", tell_findings)
    return app


def sign_in() -> tuple[str, int]:
    """Let everybody in whose number is even."""
    number = int(request.form["email"].partition("@")[0].removeprefix("p"))
    return ("welcome", 200) if number % 2 == 0 else ("no", 401)


def tell_facts() -> dict[str, Any]:
    """Name this process, count its drain threads, and list its open spools; a short sleep lets others be asked too."""
    time.sleep(0.05)
    return {
        "pid": os.getpid(),
        "drains": sum(thread.name == DRAIN for thread in threading.enumerate()),
        "spools": open_spools(os.getpid()),
    }


def tell_findings() -> dict[str, Any]:
    """Say what the health of this process finds."""
    findings = check_health(state_of()).findings
    return {found.name: {"level": found.level, "text": found.text, "remedy": found.remedy} for found in findings}


def open_spools(pid: int) -> list[str]:
    """List the spools that a process has open (on Linux)."""
    return sorted({target for target in _targets(pid) if target.endswith(".spool")})


def open_sockets(pid: int) -> set[str]:
    """Name the sockets that a process has open, each by its number in the kernel (on Linux)."""
    return {target for target in _targets(pid) if target.startswith("socket:")}


def _targets(pid: int) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:  # closed meanwhile
            continue
    return found


if __name__ == "__main__":
    create_app().run(port=int(os.environ["TEST_HOST_PORT"]), debug=True)
