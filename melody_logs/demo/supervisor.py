"""Runs the demo: the catcher in this process, web, worker, beat and traffic as children that it keeps alive."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from .catcher import Catcher
from .children import Child
from .configuration import (
    ADMIN_EMAIL,
    DATA_DIR_VARIABLE,
    load_configuration,
    new_configuration,
    save_configuration,
    write_private_json,
)
from .folder import DemoError, empty_broker, held_folder, put_aside_logs
from .loopback import open_loopback

HOST = "127.0.0.1"
USUAL_PORT = 8000
STOP_SECONDS = 3.0
READY_SECONDS = 60.0
WATCH_SECONDS = 0.1
HOST_APP = "melody_logs.demo.app:create_app"


@dataclass(frozen=True)
class DemoOptions:
    """What the command line asks for; port None: the usual one if it is free, else any; 0: any."""

    data_dir: Path
    port: int | None = None
    database_url: str | None = None
    broker_url: str | None = None
    traffic: bool = True


def run_demo(options: DemoOptions, announce: Callable[[dict[str, Any]], None]) -> None:
    """Run the demo until a signal ends it; *announce* gets the facts of ``demo.json`` once it is ready.

    :raise DemoError: if it cannot start.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _exit)
    with held_folder(options.data_dir), listening_socket(options.port) as listening:
        put_aside_logs(options.data_dir)
        empty_broker(options.data_dir)
        configuration = _configure(options)
        catcher = Catcher(configuration.provider_key)
        smtp_port, provider_port = catcher.start()
        save_configuration(options.data_dir, replace(configuration, smtp_port=smtp_port, provider_port=provider_port))
        try:
            facts = _set_up(options.data_dir, configuration.admin_password, listening.getsockname()[1])
            _supervise(options, listening, facts, announce)
        finally:
            catcher.stop()


@contextmanager
def listening_socket(port: int | None) -> Iterator[socket.socket]:
    """Listen on the loopback address only.

    :raise DemoError: if the port that was asked for is taken.
    """
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, USUAL_PORT if port is None else port))
        except OSError as error:
            if port is not None:
                raise DemoError(
                    f"port {port} cannot be used: {error.strerror}; name another by --port, or 0 for any that is free"
                ) from None
            listening.bind((HOST, 0))
        listening.listen(128)
        yield listening


def _configure(options: DemoOptions) -> Any:
    own_database_url = f"sqlite:///{options.data_dir / 'host.db'}"
    if (options.data_dir / "configuration.json").exists():
        configuration = load_configuration(options.data_dir)
    else:
        configuration = new_configuration(own_database_url)
    configuration = replace(configuration, database_url=options.database_url or own_database_url)
    save_configuration(options.data_dir, configuration)
    return configuration


def _set_up(data_dir: Path, admin_password: str, port: int) -> dict[str, Any]:
    last = data_dir / "demo.json"
    known = json.loads(last.read_text("utf-8")) if last.exists() else {}
    client = {name: known.get(name) for name in ("client_id", "client_secret")}
    done = subprocess.run(
        [sys.executable, "-m", "melody_logs.demo.set_up"],
        input=json.dumps(client),
        capture_output=True,
        text=True,
        env={**os.environ, DATA_DIR_VARIABLE: str(data_dir)},
    )
    if done.returncode != 0:
        (data_dir / "logs" / "set_up.log").write_text(done.stderr, "utf-8")
        reason = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise DemoError(f'the databases could not be prepared: {reason[0]} (more in "{data_dir}/logs/set_up.log")')
    made = json.loads(done.stdout.splitlines()[-1])
    url = f"http://{HOST}:{port}"
    return {
        "url": url,
        "admin_url": f"{url}/admin/logs/",
        "admin_email": ADMIN_EMAIL,
        "admin_password": admin_password,
        "client_id": made["client_id"],
        "client_secret": made["client_secret"],
        "database_url": made["database_url"],
        "pid": os.getpid(),
    }


def _supervise(
    options: DemoOptions,
    listening: socket.socket,
    facts: dict[str, Any],
    announce: Callable[[dict[str, Any]], None],
) -> None:
    children = make_children(options, listening, facts["url"])
    try:
        _keep_alive_until(children, lambda: _answers(facts["url"]), time.monotonic() + READY_SECONDS)
        write_private_json(options.data_dir / "demo.json", facts)
        announce(facts)
        _keep_alive_until(children, lambda: False, float("inf"))
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for child in children:
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_SECONDS
        for child in children:
            child.end(deadline)


def _keep_alive_until(children: list[Child], is_done: Callable[[], bool], deadline: float) -> None:
    while True:
        for child in children:
            child.keep_alive()
        if is_done():
            return
        if time.monotonic() > deadline:
            logs = children[0].log_path
            raise DemoError(f'the web process does not answer within {READY_SECONDS:.0f} s: see "{logs}"')
        time.sleep(WATCH_SECONDS)


def _answers(url: str) -> bool:
    try:
        with open_loopback(url, timeout_seconds=5):
            return True
    except OSError:
        return False


def make_children(options: DemoOptions, listening: socket.socket, url: str) -> list[Child]:
    """Describe the child processes, the web process first."""
    folder = options.data_dir
    temporary = folder / "temporary"
    temporary.mkdir(mode=0o700, exist_ok=True)
    environment = {
        DATA_DIR_VARIABLE: str(folder),
        "MELODY_WORKER_APP": HOST_APP,
        "MELODY_WORKER_BROKER_URL": options.broker_url or "filesystem://",
        "MELODY_WORKER_DATA_DIR": str(folder / "worker"),
        "MELODY_DEMO_SOCKET": str(listening.fileno()),
        "PYTHONUNBUFFERED": "1",
        # The embedded broker moves each message through here.
        "TMPDIR": str(temporary),
    }
    python = [sys.executable, "-m"]
    celery = [*python, "celery", "-A", "melody_logs.worker"]
    worker = [*celery, "worker", "--pool", "solo", "--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    children = [
        Child("web", [*python, "melody_logs.demo.web"], environment, folder, (listening.fileno(),)),
        Child("worker", worker, environment, folder),
        Child("beat", [*celery, "beat", "--loglevel", "WARNING"], environment, folder),
    ]
    if options.traffic:
        children.append(Child("traffic", [*python, "melody_logs.demo.traffic", url], environment, folder))
    return children


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
