"""Every command of the README and docs/ runs, in a shell, beside a host that is made and served by the quick start."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from benchmarks.__main__ import _read_options as read_benchmark_options
from melody_logs.geolocation.databases import BUNDLED_TABLE
from tests.docs import PAGES, ROOT, fenced, page
from tests.geolocation.provider import ACCOUNT, KEY, Answer, pack_as_maxmind, providing
from tests.importing.sources import Source
from tests.servers.availability import missing
from tests.servers.binaries import programs
from tests.servers.processes import Process, free_port

PROGRAMS = Path(sys.executable).parent
LONGEST_SECONDS = 60
#: Stand in the documentation and are tried elsewhere: why not here.
ELSEWHERE = {
    "docker compose up --build": "needs an engine; tests/deployment runs the command of each service by itself",
    "npx wrangler d1 export melody-auth --remote --output export.sql": "it asks a service for somebody's database",
}
#: What the documentation writes where each user has a value of their own.
ELLIPSIS = "…"
DOCUMENTED_CLIENT = "mlc_0123456789abcdef01234567"
DOCUMENTED_ADDRESS = "https://app.example"


@dataclass
class Sandbox:
    """A folder with a host, its tables, 50 sign-ins, a running server and an API client."""

    folder: Path
    environment: dict[str, str]
    base_url: str = ""
    client: dict[str, str] = field(default_factory=dict)

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a line in bash, as a reader would; fail with its output if it fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done

    def start(self, script: str, ready: str) -> None:
        """Start a line that goes on until it is ended; wait for a word of its output, then end it."""
        with Process(
            ["bash", "-c", f"exec {script}"], folder=self.folder, name="command", environment=self.environment
        ) as process:
            process.wait_for_output(ready, timeout_seconds=LONGEST_SECONDS)
        process.output_path.unlink()

    def token(self) -> str:
        """Ask for a token with everything."""
        form = {"grant_type": "client_credentials", "scope": "root"}
        credentials = (self.client["client_id"], self.client["client_secret"])
        token: str = httpx.post(f"{self.base_url}/oauth2/v1/token", data=form, auth=credentials).json()["access_token"]
        return token


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The host of the quick start under both names that the documentation gives it, at work."""
    folder = tmp_path_factory.mktemp("reader")
    (code,) = fenced(page("quickstart.md"), "python")
    for name in ("host", "yourapp"):
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
    _write_melody_auth_export(folder)
    box = Sandbox(folder, _environment(folder))
    box.run("flask melody-logs db upgrade")
    _add_sign_ins(box, 50)
    with _served(box) as box.base_url:
        made = box.run("flask melody-logs client create sandbox --scope root --json")
        box.client = json.loads(made.stdout)
        box.environment |= {"CLIENT_ID": box.client["client_id"], "CLIENT_SECRET": box.client["client_secret"]}
        box.environment |= {"TOKEN": box.token(), "FLOW_ID": "documented"}
        yield box


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not re.match("MELODY_|FLASK_|CELERY_", name)}
    return {
        **kept,
        "PATH": os.pathsep.join([str(PROGRAMS), os.environ["PATH"]]),
        "PYTHONPATH": str(folder),
        "FLASK_APP": "host:create_app",
        "FLASK_RUN_PORT": str(free_port()),
        "MELODY_IMPORT_DATABASE_URL": f"sqlite:///{folder / 'source.db'}",
    }


def _write_melody_auth_export(folder: Path) -> None:
    """Write a Melody Auth database with a row of each log, and its dump, as the export of one is."""
    source = Source(f"sqlite:///{folder / 'source.db'}")
    for table in ("email_log", "sms_log", "sign_in_log"):
        source.insert(table, [{"id": 1, "createdAt": "2025-01-01 00:00:00"}])
    source.close()
    with closing(sqlite3.connect(folder / "source.db")) as connection:
        (folder / "export.sql").write_text("\n".join(connection.iterdump()), encoding="utf-8")


@contextmanager
def _served(box: Sandbox) -> Iterator[str]:
    """Run the host by the development server, as the quick start does; give its address."""
    port = free_port()
    environment = {**box.environment, "FLASK_RUN_PORT": str(port)}
    with Process([PROGRAMS / "flask", "run"], folder=box.folder, name="served", environment=environment) as process:
        process.wait_for_output(f"Running on http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"


def _add_sign_ins(box: Sandbox, count: int) -> None:
    script = (
        "import host; app = host.create_app()\n"
        "with app.app_context():\n"
        f"    for _ in range({count}):\n"
        "        host.logs.record_sign_in(identity='ann@example.org', success=True, flow_id='documented')\n"
    )
    box.run(f"python -c {shlex.quote(script)} && flask melody-logs drain")


# -- How each command is run ------------------------------------------------------------------------------------------


def _run_flask(box: Sandbox, line: str) -> None:
    client = json.loads(box.run("flask melody-logs client create documented --scope root --json").stdout)
    box.run(line.replace(DOCUMENTED_CLIENT, client["client_id"]))


def _run_update(box: Sandbox, line: str) -> None:
    """A server on this machine offers the bundled table as everybody's file."""
    table = BUNDLED_TABLE.read_bytes()
    with providing() as provider:
        provider.offer_maxmind(pack_as_maxmind(table))
        months = (datetime.now(UTC), datetime.now(UTC).replace(day=1) - timedelta(days=1))
        provider.answers |= {
            f"/free/dbip-city-lite-{day:%Y-%m}.mmdb.gz": Answer(gzip.compress(table)) for day in months
        }
        provider.answers["/City.tar.gz"] = Answer(pack_as_maxmind(table))
        line = line.replace("https://files.example", provider.url).replace(ELLIPSIS, sha256(table).hexdigest())
        address = "" if "--url" in line else f" --server {provider.url}"
        settings = {"GEOIP_DATABASE": "City.mmdb", "MAXMIND_ACCOUNT_ID": ACCOUNT, "MAXMIND_LICENSE_KEY": KEY}
        configured = {f"FLASK_MELODY_LOGS_{name}": value for name, value in settings.items()}
        done = box.run(f"{line}{address}", no_proxy="127.0.0.1", **configured)
    assert "is in place" in done.stdout or "nothing was changed" in done.stdout


def _run_as_it_is(box: Sandbox, line: str) -> None:
    need(line.split()[0])
    box.run(line)


def need(program: str) -> None:
    """Skip the test, or let it fail where CI=true, without a program of the machine."""
    if not programs(program):
        missing(program, f"Let `make test` install it (as root), or install '{program}'.")


def _run_curl(box: Sandbox, line: str) -> None:
    need("curl")
    box.run(line.replace("curl ", "curl -fsS ", 1).replace(DOCUMENTED_ADDRESS, box.base_url))


def _run_export(box: Sandbox, line: str) -> None:
    """What is exported is accepted by the app and by the worker."""
    start = "import host; host.create_app()"
    accepted = f"python -c {shlex.quote(start)} && celery -A melody_logs.worker report"
    box.run(f"{line.replace(ELLIPSIS, 'value')} && {accepted}")


def _start_worker(box: Sandbox, line: str) -> None:
    # It says that it is ready at this level only.
    box.start(f"{line} --loglevel INFO", " ready.")


def _start_beat(box: Sandbox, line: str) -> None:
    box.start(f"{line} --loglevel INFO", "beat: Starting")


def _start_server(box: Sandbox, line: str) -> None:
    box.start(line, "Running on")


def _name_target(box: Sandbox, line: str) -> None:
    """The target exists and make knows what to do; the benchmarks also take the options."""
    done = subprocess.run(["make", "-n", *shlex.split(line)[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if line.startswith("make bench"):
        options = re.search('ARGS="(.*)"', line)
        read_benchmark_options(shlex.split(options[1]) if options else [])


HOW: Mapping[str, Callable[[Sandbox, str], None]] = {
    r"flask melody-logs (?!geoip update)": _run_flask,
    r"flask melody-logs geoip update": _run_update,
    r"flask run": _start_server,
    r"celery -A melody_logs\.worker worker": _start_worker,
    r"celery -A melody_logs\.worker beat": _start_beat,
    r"sqlite3 ": _run_as_it_is,
    r"curl ": _run_curl,
    r"export ": _run_export,
    r"make ": _name_target,
}


def _documented_lines() -> list[str]:
    """List the lines of all shell blocks once each, without comments and without the installation."""
    lines: dict[str, None] = {}
    for name, text in PAGES.items():
        for block in fenced(text, "sh"):
            if not (name == "docs/quickstart.md" and "pip wheel" in block):
                lines |= dict.fromkeys(re.sub(r"(^|\s+)#\s.*", "", line) for line in block.splitlines())
    return [line for line in lines if line and line not in ELSEWHERE]


@pytest.mark.parametrize("line", _documented_lines())
def test_documented_command_runs(sandbox: Sandbox, line: str) -> None:
    ways = [way for pattern, way in HOW.items() if re.match(pattern, line)]
    assert len(ways) == 1, f"nobody says how this command is tried: {line}"
    ways[0](sandbox, line)


@pytest.mark.long
def test_installation_of_the_quick_start_runs(tmp_path: Path) -> None:
    """A new environment, the wheel with all that it needs, and a command of it."""
    (block,) = [block for block in fenced(page("quickstart.md"), "sh") if "pip wheel" in block]
    # A build in the checkout itself would leave its folders there.
    copy = tmp_path / "checkout"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
    script = block.replace("path/to/checkout", shlex.quote(str(copy)))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{script}\nmelody-logs --help\nwhich melody-logs"],
        cwd=tmp_path,
        env={**_environment(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().splitlines()[-1] == str(tmp_path / "venv/bin/melody-logs")
