"""Hosts whose folder cannot be written, or whose spool folder is another host's too."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from melody_logs.state import state_of
from melody_logs.storage.database import Database
from tests.conftest import StartProcess
from tests.guest.troubled import PROMPT_SECONDS, TroubledHost
from tests.servers.processes import Process, free_port, wait_until
from tests.storage.rows import make_database, read_all

ROOT = Path(__file__).parent.parent.parent
MakeTrouble = Callable[..., TroubledHost]
#: Root writes where no mode allows it, by two of its capabilities: a child without them is as any user.
AS_ANY_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
HOST = "tests.guest.served_app:create_app"


@pytest.fixture
def locked_folder(tmp_path: Path) -> Path:
    """An instance folder that its own user may not write."""
    folder = tmp_path / "instance"
    folder.mkdir(mode=0o500)
    return folder


@pytest.fixture
def run(start_process: StartProcess, locked_folder: Path, tmp_path: Path) -> Callable[..., Process]:
    """A function that runs a command on the host whose folder is locked, as a user without privileges."""

    def start(*command: str, name: str, database_url: str) -> Process:
        environment = {
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path),
            "FLASK_APP": HOST,
            "TEST_HOST_FOLDER": str(locked_folder),
            "TEST_HOST_DATABASE_URL": database_url,
        }
        return start_process([*AS_ANY_USER, sys.executable, "-m", *command], name=name, environment=environment)

    return start


class Visitor:
    """Signs in at the served host, where a name is a number and an even one is let in."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def sign_in(self, number: int) -> bool:
        """Say whether the host answered as if nothing were wrong."""
        form = {"email": f"p{number}@example.org"}
        return httpx.post(f"{self.url}/sign-in", data=form, timeout=PROMPT_SECONDS).status_code == 200

    def is_answered(self) -> bool:
        """Say whether the host takes requests yet."""
        try:
            return httpx.get(f"{self.url}/facts", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def serve_locked(run: Callable[..., Process]) -> Callable[[str], Visitor]:
    """A function that serves the host whose folder is locked, with its logs at an address."""

    def serve(database_url: str) -> Visitor:
        visitor = Visitor(port := free_port())
        options = ["--listen", f"127.0.0.1:{port}", "--call", HOST]
        run("waitress", *options, name="server", database_url=database_url).wait_until(visitor.is_answered)
        return visitor

    return serve


def find_bad(process: Process) -> dict[str, str]:
    """Read what ``flask melody-logs health --json`` called bad, by name."""
    process.wait()
    found = json.loads(process.output)["findings"]
    return {entry["name"]: f"{entry['text']}: {entry['remedy']}" for entry in found if entry["level"] == "bad"}


def assert_folder_is_named(said: str, folder: Path) -> None:
    """Check the sentence about the spool's folder."""
    assert f'because "{folder}" is not writable for user {os.geteuid()}' in said
    assert said.endswith('make it writable, or set "MELODY_LOGS_SPOOL_DIR" to a folder that is')


def read_identities(database: Database) -> list[str]:
    """Read whose sign-ins are in the log."""
    return [row.identity for row in read_all(database, "sign-in")]


@pytest.mark.skipif(sys.platform != "linux", reason="setpriv is Linux's")
def test_folder_that_cannot_be_written(
    run: Callable[..., Process],
    serve_locked: Callable[[str], Visitor],
    locked_folder: Path,
    postgresql_url: str,
) -> None:
    """What comes waits in memory and is drained from there."""
    database = make_database(postgresql_url)
    visitor = serve_locked(postgresql_url)
    assert visitor.sign_in(2) and visitor.sign_in(4)
    said = find_bad(run("flask", "melody-logs", "health", "--json", name="health", database_url=postgresql_url))
    assert_folder_is_named(said["Spool disk"], locked_folder)
    wait_until(lambda: read_identities(database) == ["p2@example.org", "p4@example.org"], what="drained from memory")
    locked_folder.chmod(0o700)
    spools = locked_folder / "melody_logs" / "spool"
    wait_until(lambda: visitor.sign_in(6) and spools.exists(), what="the disk is used again")


@pytest.mark.skipif(sys.platform != "linux", reason="setpriv is Linux's")
def test_folder_that_cannot_be_written_and_should_hold_the_logs(
    run: Callable[..., Process], serve_locked: Callable[[str], Visitor], locked_folder: Path
) -> None:
    """Everything waits in memory until somebody makes the folder writable and upgrades."""
    url = "sqlite:///logs.db"
    visitor = serve_locked(url)
    assert visitor.sign_in(2) and visitor.sign_in(4)
    said = find_bad(run("flask", "melody-logs", "health", "--json", name="health", database_url=url))
    assert_folder_is_named(said["Spool disk"], locked_folder)
    assert f'the log database "{locked_folder / "logs.db"}" cannot be made (Permission denied): ' in said["Database"]
    locked_folder.chmod(0o700)
    database = make_database(f"sqlite:///{locked_folder / 'logs.db'}")
    expected = ["p2@example.org", "p4@example.org"]
    wait_until(lambda: read_identities(database) == expected, what="both in the log, once")


@pytest.fixture
def shared(tmp_path: Path) -> str:
    """A spool folder that two hosts were given."""
    return str(tmp_path / "shared-spool")


def test_two_hosts_with_databases_of_their_own_in_one_spool_folder(trouble: MakeTrouble, shared: str) -> None:
    """Each drains its own entries only, and says what the other's are."""
    options = {"MELODY_LOGS_SPOOL_DIR": shared, "MELODY_LOGS_DRAIN_IN_PROCESS": False}
    first, second = (trouble(name, **options) for name in ("first", "second"))
    first.sign_in("ann", "bob")
    second.sign_in("cem")
    for host, name in ((first, "first"), (second, "second")):
        report = json.loads(host.command("health", "--json"))
        (found,) = [entry for entry in report["findings"] if entry["name"] == "Spool file"]
        assert found["text"] == f'1 spool file for another log database in "{shared}" is left alone', name
        assert found["remedy"].startswith('give each app a "MELODY_LOGS_SPOOL_DIR" of its own')
    first.assert_recorded("ann", "bob")
    second.assert_waiting(1)
    second.assert_recorded("cem")
    first.assert_recorded("ann", "bob")


def test_two_hosts_with_one_database_in_one_spool_folder(trouble: MakeTrouble, shared: str) -> None:
    """As two processes of one host: whoever drains, each entry comes once."""
    options = {"MELODY_LOGS_SPOOL_DIR": shared, "MELODY_LOGS_DRAIN_IN_PROCESS": False}
    first = trouble("first", **options)
    url = first.app.config["MELODY_LOGS_DATABASE_URI"]
    second = trouble("second", MELODY_LOGS_DATABASE_URI=url, **options)
    first.sign_in("ann", "bob")
    second.sign_in("cem")
    assert state_of(first.app).drain.problems() == []
    second.assert_recorded("ann", "bob", "cem")
    first.assert_recorded("ann", "bob", "cem")
