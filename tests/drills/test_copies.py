"""F36: copies of the log database and the spool at any instant, as a power cut or a snapshot leaves them."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from melody_logs.recording.drain import Drain
from melody_logs.recording.spool import Spool
from melody_logs.storage.database import Database
from tests.conftest import StartProcess
from tests.drills.history import compare, read_history
from tests.drills.reporting import Drill
from tests.drills.web_host import SYNC, WebHost
from tests.servers.processes import Process, wait_until
from tests.storage.rows import make_database

SHORT_AND_LONG = [pytest.param(False, id="short"), pytest.param(True, id="long", marks=pytest.mark.drills)]
CLIENTS = 2
#: Started anew from time to time: each copy is compared whole.
COPIES_A_DATABASE = 25


@pytest.mark.fault("F36")
@pytest.mark.parametrize("is_long", SHORT_AND_LONG)
@pytest.mark.timeout(900)
def test_every_copy_of_the_files_opens_and_holds_what_was_acknowledged(
    drill: Drill, is_long: bool, start_process: StartProcess, tmp_path: Path
) -> None:
    copies = drill.choose(200, 5)
    found = Counter[str]()
    for part in range(-(-copies // COPIES_A_DATABASE)):
        folder = tmp_path / f"part-{part}"
        folder.mkdir()
        copy_under_load(drill, start_process, folder, min(COPIES_A_DATABASE, copies), found)
        shutil.rmtree(folder)
    drill.expect("copies", expected=copies, measured=found["copies"], held=found["copies"] == copies)
    drill.expect(
        "entries in the spools when copied", expected="≥ 1", measured=f"{found['spooled']:,}", held=found["spooled"] > 0
    )
    for what in ("damaged", "lost", "doubled"):
        drill.expect(
            f"{what} in {found['files']:,} files and {found['acked']:,} acknowledged entries",
            expected=0,
            measured=found[what],
            held=not found[what],
        )


def copy_under_load(drill: Drill, start_process: StartProcess, folder: Path, copies: int, found: Counter[str]) -> None:
    """Let clients record, and copy the files at random instants."""
    (folder / "live").mkdir()
    host = WebHost(start_process, folder / "live", f"sqlite:///{folder / 'live' / 'logs.db'}", options=SYNC)
    live = make_database(host.database_url)
    web = host.start()
    clients = [host.start_client(f"c{number}", drill.random.getrandbits(32)) for number in range(CLIENTS)]
    wait_until(lambda: read_history(host.notes).acks > 10, what="the clients being at work")
    for number in range(copies):
        time.sleep(drill.random.uniform(0.0, 0.1))
        copy = folder / f"copy-{number}"
        frozen_copy(web, host, copy)
        check_copy(host, live, copy, found)
        shutil.rmtree(copy)
        found["copies"] += 1
    for process in (*clients, web):
        process.stop()
    live.close()


def frozen_copy(web: Process, host: WebHost, copy: Path) -> None:
    """Stop the writers where they are, copy their files, read what was acknowledged, and let them go on."""
    web.pause()
    try:
        copy.mkdir()
        for path in host.folder.glob("logs.db*"):
            # The index of a write-ahead log lies in memory that a power cut takes.
            if not path.name.endswith("-shm"):
                shutil.copy(path, copy)
        shutil.copytree(host.folder / "melody_logs" / "spool", copy / "spool", ignore=shutil.ignore_patterns("*-shm"))
        for path in host.notes:
            shutil.copy(path, copy)
    finally:
        web.resume()


def check_copy(host: WebHost, live: Database, copy: Path, found: Counter[str]) -> None:
    """Open each file of a copy, drain it, and compare."""
    files = [copy / "logs.db", *(copy / "spool").glob("*.spool")]
    found["files"] += len(files)
    found["damaged"] += sum(not is_whole(path) for path in files)
    database = make_database(f"sqlite:///{copy / 'logs.db'}")
    spool = Spool(copy / "spool", destination=live.fingerprint)
    found["spooled"] += spool.waiting().entries
    Drain(spool, database).run_once()
    spool.close()
    history = read_history([copy / path.name for path in host.notes])
    comparison = compare(database, history)
    database.close()
    found["acked"] += history.acks
    found["lost"] += comparison.missing + comparison.unsent_mails
    found["doubled"] += comparison.doubled + comparison.repeated_positions


def is_whole(path: Path) -> bool:
    """Ask SQLite whether a file is whole."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            answer: str = connection.execute("PRAGMA integrity_check").fetchone()[0]
            return answer == "ok"
    except sqlite3.DatabaseError:
        return False
