"""What a new host does, once through: copied beside ``smoke_host.py`` into a folder of their own and run there.

``python smoke.py WORKER`` prints a line of JSON with what was found; it fails with a sentence at the first thing that
does not work. *WORKER* is the name of the worker's package. The demo is started if its console script is installed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from importlib import metadata
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from smoke_host import create_app

import melody_logs

ADDRESS = "81.2.69.142"
BACKEND = ["client", "create", "backend", "--scope", "read_log", "--json"]
DEMO_SECONDS = 90.0


def main(worker: str) -> None:
    """Make the tables, record, drain, locate, look, ask as a program, and load the worker."""
    os.environ["FLASK_APP"] = "smoke_host:create_app"
    run("flask", "melody-logs", "db", "upgrade")
    app = create_app()
    client = json.loads(command(app, *BACKEND))
    browser = app.test_client()
    for password, code in (("wrong", 401), ("open sesame", 200)):
        form = {"email": "ann@example.org", "password": password}
        expect(browser.post("/login", data=form, environ_overrides={"REMOTE_ADDR": ADDRESS}).status_code, code)
    command(app, "drain")
    expect(command(app, "locate"), "Located 2 sign-ins.\n")
    expect(json.loads(command(app, "health", "--json"))["well"], True)
    look_at_pages(browser)
    ask_as_program(app.test_client(), client)
    report = run("celery", "-A", worker, "report")
    expect("melody_logs" in report, True)
    package = Path(melody_logs.__file__).parent
    expect((package / "py.typed").is_file(), True)
    found = {"package": str(package), "demo": start_demo(), "python": sys.version.split()[0]}
    versions = ("flask", "sqlalchemy", "celery", "marshmallow")
    print(json.dumps(found | {name: metadata.version(name) for name in versions}))


def look_at_pages(browser: FlaskClient) -> None:
    """Open the pages with every file that they name."""
    overview = browser.get("/admin/logs/")
    expect(overview.status_code, 200)
    files = set(re.findall(r'(?:href|src)="([^"]+\.(?:css|js|svg)[^"]*)"', overview.text))
    expect(len(files) >= 3, True)
    for file in sorted(files):
        answer = browser.get(file)
        expect((answer.status_code, len(answer.data) > 200), (200, True))
    rows = browser.get("/admin/logs/sign-in").text
    expect(("ann@example.org" in rows, "United Kingdom" in rows), (True, True))


def ask_as_program(program: FlaskClient, client: dict[str, Any]) -> None:
    """Get a token and read the log with it."""
    form = {"grant_type": "client_credentials", "scope": "read_log"}
    credentials = (client["client_id"], client["client_secret"])
    token: Any = program.post("/oauth2/v1/token", data=form, auth=credentials).json
    rows = program.get("/api/v1/logs/sign-in", headers={"Authorization": f"Bearer {token['access_token']}"}).json
    found = re.findall(r'"(?:outcome|country)": ?"(\w+)"', json.dumps(rows, sort_keys=True))
    expect(sorted(found), ["GB", "GB", "failure", "success"])


def start_demo() -> bool:
    """Start the demo, open its first page and end it; False where it is not installed."""
    program = Path(sys.executable).with_name("melody-logs")
    if not program.exists():
        return False
    arguments = ["demo", "--port", "0", "--data-dir", "demo", "--no-traffic"]
    with Path("demo.log").open("wb") as output:
        demo = subprocess.Popen([program, *arguments], stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + DEMO_SECONDS
        while not (ready := re.search(r"^READY (\S+)", Path("demo.log").read_text(), re.M)):
            if demo.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the demo does not start: {Path('demo.log').read_text()}")
            time.sleep(0.1)
        with urllib.request.urlopen(ready[1], timeout=30) as answer:
            expect(answer.status, 200)
    finally:
        demo.terminate()
        demo.wait(30)
    return True


def command(app: Flask, *arguments: str) -> str:
    """Run a command of the host in this process, and give what it prints."""
    done = app.test_cli_runner().invoke(args=["melody-logs", *arguments])
    if done.exit_code:
        sys.exit(f"flask melody-logs {' '.join(arguments)}: {done.output} {done.exception!r}")
    return done.output


def run(*arguments: str) -> str:
    """Run a module's command in a process of its own, and give what it prints."""
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=120)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def expect(found: object, wanted: object) -> None:
    """End with both values if they differ."""
    if found != wanted:
        raise SystemExit(f"found {found!r}, wanted {wanted!r}")


if __name__ == "__main__":
    main(sys.argv[1])
