"""F11 to F14: files that are locked, full, or gone, of the log database and of the spool."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select

from melody_logs.recording import spool as spool_module
from melody_logs.recording.spool_memory import MEMORY_ENTRIES
from melody_logs.state import state_of
from melody_logs.storage.database import Database
from melody_logs.storage.models import Gap
from melody_logs.storage.schema import upgrade
from tests.drills.calls import Calls, drain_quietly, read_event_ids
from tests.drills.reporting import Drill
from tests.hosts import close_host, make_host
from tests.servers.postgresql import PostgresqlServer
from tests.servers.processes import wait_until

SHORT_AND_LONG = [pytest.param(False, id="short"), pytest.param(True, id="long", marks=pytest.mark.drills)]
SMALL_DISK_BYTES = 384 * 1024


@pytest.mark.fault("F11")
@pytest.mark.parametrize("is_long", SHORT_AND_LONG)
@pytest.mark.parametrize("where", ["beside", "same file, spool", "same file, direct"])
def test_host_that_holds_its_write_lock_delays_nothing(drill: Drill, is_long: bool, where: str, tmp_path: Path) -> None:
    """The host writes in its own SQLite file for seconds and then rolls back; our record stays."""
    path = tmp_path / "app.db"
    config: dict[str, Any] = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{path}"}
    if where != "beside":
        config["MELODY_LOGS_DATABASE_URI"] = f"sqlite:///{path}"
        config["MELODY_LOGS_WRITER"] = where.rpartition(" ")[2]
    calls = Calls(*make_host(tmp_path=tmp_path, **config))
    upgrade(state_of(calls.app).database)
    calls.record(5)
    wait_until(lambda: not state_of(calls.app).spool.waiting().entries, what="the spool being empty")
    calls.forget_times()
    with closing(sqlite3.connect(path, isolation_level=None)) as host:
        host.execute("CREATE TABLE IF NOT EXISTS host_table (x)")
        host.execute("BEGIN IMMEDIATE")
        host.execute("INSERT INTO host_table VALUES (1)")
        calls.record_for(drill.choose(10, 1))
        host.execute("ROLLBACK")
    calls.expect_promptness(drill, f"locked by the host ({where})")
    calls.expect_all_once(drill, f"locked by the host ({where})")
    close_host(calls.app)


@pytest.mark.fault("F12")
def test_full_log_database_fills_the_spool_and_nothing_is_raised(drill: Drill, tmp_path: Path, sqlite_url: str) -> None:
    calls = Calls(*make_host(sqlite_url, tmp_path=tmp_path, MELODY_LOGS_WRITER="spool"))
    state = state_of(calls.app)
    limit = [0]

    @event.listens_for(state.database.engine, "begin")
    def limit_pages(connection: object) -> None:
        """A file has at least the pages it has: 1 is as many as now. 0 says nothing."""
        driver = connection.connection.driver_connection  # type: ignore[attr-defined]
        driver.execute(f"PRAGMA max_page_count = {limit[0] or 2**30}")

    limit[0] = 1
    calls.record(2_000)
    wait_until(lambda: "full" in str(state.drain.state.error), what="the database being full")
    drill.expect("refused calls", expected=0, measured=calls.ids.count(None), held=None not in calls.ids)
    waiting = state.spool.waiting().entries
    drill.expect("entries in the spool while it is full", expected="≥ 1", measured=waiting, held=waiting >= 1)
    limit[0] = 0
    calls.expect_all_once(drill, "full database")
    close_host(calls.app)


@contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """A folder with little room: a file system in memory where one can be mounted, else by a limit on file sizes."""
    folder.mkdir(mode=0o700)
    size = f"size={SMALL_DISK_BYTES},mode=700"
    mounted = os.geteuid() == 0 and _runs(["mount", "-t", "tmpfs", "-o", size, "melody-logs-drill", str(folder)])
    if mounted:
        try:
            yield "small file system"
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK_BYTES, limits[1]))
    try:
        yield "limit on file sizes"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _runs(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.fault("F13")
def test_full_disk_of_the_spool_is_counted_and_survived(
    drill: Drill, tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the disk fills, then the memory, then entries are lost and counted; with room all goes on."""
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)
    config: dict[str, Any] = {"MELODY_LOGS_WRITER": "spool", "MELODY_LOGS_DRAIN_IN_PROCESS": False}
    with small_disk(tmp_path / "spool") as disk:
        folder = str(tmp_path / "spool")
        calls = Calls(*make_host(sqlite_url, tmp_path=tmp_path, MELODY_LOGS_SPOOL_DIR=folder, **config))
        state = state_of(calls.app)
        while calls.ids.count(None) < 50:
            calls.record(50)
        lost = calls.ids.count(None)
        kept = len(calls.ids) - lost
        on_disk = kept - MEMORY_ENTRIES
        drill.expect(f"{disk}: kept on the full disk", expected="≥ 1", measured=on_disk, held=on_disk >= 1)
        counted = state.spool.losses.totals().get("sign-in", 0)
        drill.expect(f"{disk}: counted as lost", expected=lost, measured=counted, held=counted == lost)
        assert "the disk refuses the spool" in (state.spool.problem() or "")
        wait_until(lambda: drain_quietly(state.drain) and not state.spool.waiting().entries, what="drained")
        calls.record()
        problem = state.spool.problem()
        drill.expect(f"{disk}: problem after it", expected=None, measured=problem, held=problem is None)
        calls.expect_all_once(drill, disk)
        expect_gap(drill, disk, state.database, lost)
        close_host(calls.app)


@pytest.mark.fault("F14")
def test_dead_database_and_dead_spool_keep_what_memory_holds_and_count_the_rest(
    drill: Drill, tmp_path: Path, postgresql_url: str, postgresql_server: PostgresqlServer
) -> None:
    no_folder = tmp_path / "spool"
    no_folder.write_text("a file stands here")
    calls = Calls(
        *make_host(postgresql_url, tmp_path=tmp_path, MELODY_LOGS_SPOOL_DIR=str(no_folder), MELODY_LOGS_WRITER="spool")
    )
    state = state_of(calls.app)
    postgresql_server.stop()
    try:
        calls.record(MEMORY_ENTRIES + 500)
        lost = calls.ids.count(None)
        drill.expect("kept in memory", expected=MEMORY_ENTRIES, measured=len(calls.ids) - lost, held=lost == 500)
        counted = state.spool.losses.totals().get("sign-in", 0)
        drill.expect("counted as lost", expected=500, measured=counted, held=counted == 500)
    finally:
        postgresql_server.start()
    calls.expect_all_once(drill, "both dead")
    expect_gap(drill, "both dead", state.database, 500)
    close_host(calls.app)


@pytest.mark.fault("F14")
def test_host_that_fails_closed_does_nothing_that_is_not_logged(
    drill: Drill,
    tmp_path: Path,
    postgresql_url: str,
    postgresql_server: PostgresqlServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)
    no_folder = tmp_path / "spool"
    no_folder.write_text("a file stands here")
    config: dict[str, Any] = {"MELODY_LOGS_SPOOL_DIR": str(no_folder), "MELODY_LOGS_ON_FAILURE": "fail_closed"}
    app, logs = make_host(postgresql_url, tmp_path=tmp_path, MELODY_LOGS_WRITER="spool", **config)
    effects = []

    @app.post("/unlock")
    def unlock() -> str:
        logs.record_sign_in(identity="ann@example.org", success=True)
        effects.append("unlocked")
        return "unlocked"

    def ask(times: int) -> list[int]:
        return [app.test_client().post("/unlock").status_code for _ in range(times)]

    postgresql_server.stop()
    try:
        codes = ask(50)
        drill.expect("fail_closed: answers 503", expected=50, measured=codes.count(503), held=codes == [503] * 50)
        drill.expect("fail_closed: side effects", expected=0, measured=len(effects), held=not effects)
        no_folder.unlink()
        codes = ask(50)
        drill.expect(
            "answers 200 once the disk is back", expected=50, measured=codes.count(200), held=codes == [200] * 50
        )
    finally:
        postgresql_server.start()
    state = state_of(app)
    wait_until(lambda: drain_quietly(state.drain) and not state.spool.waiting().entries, what="drained")
    rows = len(read_event_ids(state.database))
    drill.expect("rows for its side effects", expected=len(effects), measured=rows, held=rows == len(effects) == 50)
    close_host(app)


def expect_gap(drill: Drill, what: str, database: Database, lost: int) -> None:
    """Expect the lost entries in the table of the gaps, between two instants."""

    def read() -> tuple[int, int]:
        with database.read() as connection:
            count, total = connection.execute(
                select(func.count(), func.sum(Gap.lost)).where(Gap.kind == "sign-in")
            ).one()
            return count, int(total or 0)

    wait_until(lambda: read()[0], what="the gap being written")
    drill.expect(f"{what}: told in melody_gap", expected=lost, measured=read()[1], held=read()[1] == lost)
