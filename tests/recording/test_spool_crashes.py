"""What ``append`` returned for is in the database exactly once, whichever process is killed when."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import pytest

from melody_logs.recording.drain import Drain
from melody_logs.recording.spool import Spool
from melody_logs.storage.database import Database
from tests.conftest import StartProcess
from tests.crashing import CRASHED
from tests.drills.reporting import Drill
from tests.recording.spool_rows import count_gaps, count_marks, make_body, make_database
from tests.servers.processes import wait_until

ROOT = str(Path(__file__).parents[2])
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))}


def child(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"tests.recording.spool_children.{name}", *map(str, arguments)]


def leave_spool(folder: Path, database: Database, name: str, count: int) -> None:
    """Leave a spool behind as a process does that could not drain."""
    spool = Spool(folder, destination=database.fingerprint)
    for number in range(1, count + 1):
        assert spool.append("sms", make_body(f"{name}-{number}")) is not None
    spool.close()


def test_kill_9_loses_and_doubles_nothing(tmp_path: Path, database_url: str, start_process: StartProcess) -> None:
    """The processes drain while they append, so they die in every phase of both."""
    kills = 20
    database = make_database(database_url)
    process = start_process(child("killed_appenders", tmp_path, database_url, kills), environment=ENVIRONMENT)
    assert process.wait(timeout_seconds=60) == 0, process.output
    acked = (tmp_path / "acked").read_text().split()
    spool = Spool(tmp_path / "spool", destination=database.fingerprint)
    Drain(spool, database).run_once()
    marks = count_marks(database)
    assert len(acked) > kills * 10
    assert [mark for mark in acked if marks[mark] != 1] == []
    assert set(marks.values()) == {1}
    assert len(marks) - len(acked) <= kills, "at most one entry a process was kept but not acknowledged"
    assert list((tmp_path / "spool").iterdir()) == []


def test_child_that_is_forked_without_hooks_keeps_what_many_threads_record_first(
    tmp_path: Path, sqlite_url: str, start_process: StartProcess
) -> None:
    """uWSGI forks in C; the first requests of its process come at once."""
    process = start_process(child("forked_in_c", tmp_path / "spool", sqlite_url, 25, 16), environment=ENVIRONMENT)
    assert process.wait(timeout_seconds=110) == 0
    assert process.output == "0\n"


@pytest.mark.parametrize(
    "where",
    [
        "SpoolFile.read_batch",
        "advance_progress",
        "write_rows",
        "Drain._announce",
        "SpoolFile.delete_drained",
        "SpoolFile.count_waiting",
        "remove_spool",
        "Path.unlink",
        "Path.unlink 2",
        "Path.unlink 3",
        "Path.unlink 4",
        "SpoolLock.release",
    ],
)
def test_crash_of_the_drain_at_any_step_is_harmless(
    tmp_path: Path, sqlite_url: str, start_process: StartProcess, where: str
) -> None:
    database = make_database(sqlite_url)
    folder = tmp_path / "spool"
    leave_spool(folder, database, "a", 700)
    crash = start_process(
        child("crashing_drain", folder, sqlite_url, *where.split()),
        environment=ENVIRONMENT,
        name="crash",
    )
    assert crash.wait(timeout_seconds=30) == CRASHED, crash.output
    Drain(Spool(folder, destination=database.fingerprint), database).run_once()
    assert count_marks(database) == {f"a-{number}": 1 for number in range(1, 701)}
    assert list(folder.iterdir()) == []


def test_copy_of_a_spool_that_comes_back_is_not_written_again(tmp_path: Path, database_url: str) -> None:
    database = make_database(database_url)
    folder = tmp_path / "spool"
    leave_spool(folder, database, "a", 20)
    shutil.copytree(folder, tmp_path / "copy")
    drain = Drain(Spool(folder, destination=database.fingerprint), database)
    assert drain.run_once() == 20
    shutil.copytree(tmp_path / "copy", folder, dirs_exist_ok=True)
    assert drain.run_once() == 0
    assert set(count_marks(database).values()) == {1}


def test_two_drains_of_one_folder_write_each_entry_once(
    tmp_path: Path, database_url: str, start_process: StartProcess
) -> None:
    database = make_database(database_url)
    folder = tmp_path / "spool"
    for name in "abc":
        leave_spool(folder, database, name, 1500)
    drains = [
        start_process(
            child("crashing_drain", folder, database_url, "nowhere"), environment=ENVIRONMENT, name=f"drain-{number}"
        )
        for number in range(2)
    ]
    for drain in drains:
        assert drain.wait(timeout_seconds=60) == 0, drain.output
    Drain(Spool(folder, destination=database.fingerprint), database).run_once()
    assert count_marks(database) == {f"{name}-{number}": 1 for name in "abc" for number in range(1, 1501)}


def test_fork_gives_the_child_a_spool_of_its_own(tmp_path: Path, sqlite_url: str, start_process: StartProcess) -> None:
    """The parent's spool is taken over as soon as it dies, though its child lives."""
    database = make_database(sqlite_url)
    folder = tmp_path / "spool"
    process = start_process(child("forking_appender", folder, database.fingerprint), environment=ENVIRONMENT)
    process.wait_for_output("parent done")
    process.wait_for_output("child done")
    child_id = int(process.output.split("child done ")[1].split()[0])
    try:
        assert len(list(folder.glob("*.spool"))) == 2
        drain = Drain(Spool(folder, destination=database.fingerprint), database)
        assert drain.run_once() == 0
        process.kill()
        assert drain.run_once() == 100
        assert count_marks(database) == Counter(
            [*(f"before-{number}" for number in range(50)), *(f"parent-{number}" for number in range(50))]
        )
    finally:
        os.kill(child_id, signal.SIGKILL)
    wait_until(lambda: drain.run_once() == 50, what="the child's spool being free")
    assert set(count_marks(database).values()) == {1}


def test_spools_of_living_processes_are_emptied_on_demand(
    tmp_path: Path, database_url: str, start_process: StartProcess
) -> None:
    database = make_database(database_url)
    folder = tmp_path / "spool"
    appender = start_process(child("appender", folder, database.fingerprint, "a", 1200), environment=ENVIRONMENT)
    appender.wait_for_output("done")
    spool = Spool(folder, destination=database.fingerprint)
    drain = Drain(spool, database)
    assert drain.run_once() == 0
    assert drain.run_once(include_live=True) == 1200
    assert len(list(folder.glob("*.spool"))) == 1
    assert spool.waiting().entries == 0
    appender.kill()
    assert drain.run_once() == 0
    assert set(count_marks(database).values()) == {1}
    assert list(folder.iterdir()) == []


def test_spool_of_another_database_is_left_alone_and_reported(tmp_path: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    folder = tmp_path / "spool"
    other = Spool(folder, destination="another")
    other.append("sms", make_body("theirs"))
    other.close()
    drain = Drain(Spool(folder, destination=database.fingerprint), database)
    assert drain.run_once() == 0
    assert drain.run_once() == 0
    (problem,) = drain.problems()
    assert "another log database" in problem
    assert len(list(folder.glob("*.spool"))) == 1


def test_spool_of_a_later_format_is_left_alone_and_reported(tmp_path: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    folder = tmp_path / "spool"
    later = Spool(folder, destination=database.fingerprint)
    later.append("sms", make_body("later"))
    later.close()
    (path,) = folder.glob("*.spool")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
    connection.close()
    drain = Drain(Spool(folder, destination=database.fingerprint), database)
    assert drain.run_once() == 0
    (problem,) = drain.problems()
    assert 'has format "99"' in problem
    assert path.exists()


def test_damaged_spool_is_set_aside_and_the_others_go_on(tmp_path: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    folder = tmp_path / "spool"
    for name in ("damaged", "well"):
        spool = Spool(folder, destination=database.fingerprint)
        spool.append("sms", make_body(name))
        spool.close()
    path = min(folder.glob("*.spool"), key=lambda path: path.stat().st_mtime_ns)
    path.write_bytes(b"no database" * 1000)
    drain = Drain(Spool(folder, destination=database.fingerprint), database)
    assert drain.run_once() == 1
    assert count_marks(database) == {"well": 1}
    assert path.with_suffix(".spool.corrupt").exists()
    drain.run_once()
    (problem,) = drain.problems()
    assert ".recover" in problem


def test_own_spool_that_is_damaged_in_use_is_set_aside(tmp_path: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    folder = tmp_path / "spool"
    spool = Spool(folder, destination=database.fingerprint)
    spool.append("sms", make_body("gone"))
    spool.before_fork()  # closes the file
    spool.after_fork_in_parent()
    (path,) = folder.glob("*.spool")
    path.write_bytes(b"no database" * 1000)
    assert spool.append("sms", make_body("in memory")) is not None
    drain = Drain(spool, database)
    assert drain.run_once() == 1
    spool.note_room()
    assert spool.append("sms", make_body("on disk")) is not None
    assert spool.problem() is None
    assert drain.run_once() == 1
    assert count_marks(database) == {"in memory": 1, "on disk": 1}
    assert [damaged.name for damaged in folder.glob("*.corrupt")] == [path.name + ".corrupt"]
    assert len(drain.problems()) == 1


def test_folder_that_others_may_write_to_is_not_drained(tmp_path: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    folder = tmp_path / "spool"
    leave_spool(folder, database, "a", 1)
    folder.chmod(0o777)
    drain = Drain(Spool(folder, destination=database.fingerprint), database)
    assert drain.run_once() == 0
    (problem,) = drain.problems()
    assert "chmod 700" in problem
    folder.chmod(0o700)
    assert drain.run_once() == 1
    assert drain.problems() == []


@pytest.mark.fault("F13")
def test_planted_files_are_left_alone_and_reported(tmp_path: Path, sqlite_url: str, drill: Drill) -> None:
    database = make_database(sqlite_url)
    folder = tmp_path / "spool"
    mine = Spool(folder, destination=database.fingerprint)
    mine.append("sms", make_body("mine"))
    target = tmp_path / "target.spool"
    target.write_bytes(b"")
    (folder / "linked.spool").symlink_to(target)
    (folder / "twice.spool").hardlink_to(target)
    drain = Drain(mine, database)
    assert drain.run_once() == 1
    problems = len(drain.problems())
    drill.expect("planted symbolic and hard link: reported", expected=2, measured=problems, held=problems == 2)
    assert target.exists()
    assert target.read_bytes() == b""
    assert (folder / "twice.spool").exists()
    assert count_gaps(database) == {}
