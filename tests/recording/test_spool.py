"""An entry is kept whatever happens; what cannot be kept is counted."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import signal
import sqlite3
import statistics
import threading
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from melody_logs.recording import spool as spool_module
from melody_logs.recording.drain import Drain
from melody_logs.recording.spool import Spool
from melody_logs.recording.spool_memory import MEMORY_ENTRIES
from tests.drills.reporting import Drill
from tests.recording.spool_rows import count_gaps, count_marks, make_body, make_database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_files_are_for_their_owner_only(folder: Path) -> None:
    spool = Spool(folder, destination="d")
    assert not folder.exists()
    assert spool.append("sms", b"{}") == 1
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_waiting_counts_the_spools_of_all_processes(folder: Path) -> None:
    first, second, foreign = (Spool(folder, destination=name) for name in ("d", "d", "other"))
    for spool in (first, first, second, foreign):
        spool.append("sms", b"x" * 10_000)
    waiting = first.waiting()
    assert waiting.entries == 3
    assert waiting.bytes > 30_000
    assert waiting.oldest_at is not None
    assert abs(time.time() - waiting.oldest_at.timestamp()) < 60


def test_an_append_costs_the_request_less_than_100_microseconds(folder: Path) -> None:
    spool = Spool(folder, destination="d")
    body = b"x" * 1000
    times = []
    for _ in range(2000):
        start = time.perf_counter()
        spool.append("sms", body)
        times.append(time.perf_counter() - start)
    assert statistics.median(times) < 100e-6


def test_threads_share_a_spool(folder: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    spool = Spool(folder, destination=database.fingerprint)

    def append(name: int) -> None:
        for number in range(100):
            spool.append("sms", make_body(f"{name}-{number}"))

    threads = [threading.Thread(target=append, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Drain(spool, database).run_once() == 800
    assert set(count_marks(database).values()) == {1}


def test_signal_handler_may_record_while_its_thread_does(folder: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    spool = Spool(folder, destination=database.fingerprint)
    handled = []
    names = itertools.count()

    def record(*_: object) -> None:
        mark = f"handler-{next(names)}"
        if spool.append("sms", make_body(mark)) is not None:
            handled.append(mark)

    previous = signal.signal(signal.SIGALRM, record)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        marks = [f"main-{number}" for number in range(3000)]
        assert all(spool.append("sms", make_body(mark)) for mark in marks)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    Drain(spool, database).run_once()
    assert len(handled) > 10
    assert count_marks(database) == dict.fromkeys([*marks, *handled], 1)


def _link(folder: Path) -> None:
    folder.with_name("elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.with_name("elsewhere"))


def _open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def _of_another_user(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)


def _no_folder(folder: Path) -> None:
    folder.write_text("a file")


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (_link, "is a link"),
        (_open_to_all, "chmod 700"),
        (_of_another_user, "belongs to user 12345"),
        (_no_folder, "no folder"),
    ],
)
@pytest.mark.fault("F13")
def test_unsafe_folder_is_refused_and_entries_wait_in_memory(
    folder: Path, sqlite_url: str, prepare: object, reason: str, drill: Drill
) -> None:
    assert callable(prepare)
    prepare(folder)
    database = make_database(sqlite_url)
    spool = Spool(folder, destination=database.fingerprint)
    assert spool.append("sms", make_body("kept")) is not None
    assert reason in (spool.problem() or "")
    Drain(spool, database).run_once()
    rows = count_marks(database)
    drill.expect(
        f"unsafe folder ({reason}): kept in memory", expected=1, measured=rows["kept"], held=rows == {"kept": 1}
    )


@pytest.mark.fault("F13")
def test_full_spool_goes_to_memory_then_loses_and_says_how_many(
    folder: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture, drill: Drill
) -> None:
    database = make_database(sqlite_url)
    spool = Spool(folder, max_megabytes=1, destination=database.fingerprint)
    answers = [
        spool.append("sms", make_body(f"{number}", content="x" * 3000)) for number in range(MEMORY_ENTRIES + 800)
    ]
    kept = [f"{number}" for number, answer in enumerate(answers) if answer is not None]
    lost = answers.count(None)
    assert lost > 0
    assert len(kept) > MEMORY_ENTRIES
    assert spool.losses.totals() == {"sms": lost}
    assert "MELODY_LOGS_SPOOL_MAX_MEGABYTES" in (spool.problem() or "")
    assert (spool.problem() or "").endswith("entries wait in memory: see why nothing drains it, or raise the limit")
    assert len([record for record in caplog.records if record.name == "melody_logs"]) == 1
    drain = Drain(spool, database)
    drain.run_once()
    drain.run_once()
    assert count_marks(database) == dict.fromkeys(kept, 1)
    told = count_gaps(database)
    drill.expect(
        "spool at its limit: told in melody_gap", expected=lost, measured=told["sms"], held=told == {"sms": lost}
    )
    assert spool.append("sms", make_body("after")) is not None
    assert spool.problem() is None


@pytest.mark.fault("F13")
def test_write_error_of_the_disk_is_survived(
    folder: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, drill: Drill
) -> None:
    """A file-size limit makes writes fail, or end short, as a full disk does."""
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)
    database = make_database(sqlite_url)
    spool = Spool(folder, destination=database.fingerprint)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        answers = [spool.append("sms", make_body(f"{number}")) for number in range(200)]
        problem = spool.problem()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert None not in answers
    assert problem is not None
    assert "the disk refuses the spool" in problem
    assert spool.append("sms", make_body("after")) is not None
    assert spool.problem() is None
    Drain(spool, database).run_once()
    rows = count_marks(database)
    once = rows == dict.fromkeys([*(f"{number}" for number in range(200)), "after"], 1)
    drill.expect("short write: entries kept, each once", expected=201, measured=rows.total(), held=once)


@pytest.mark.fault("F13")
def test_folder_removed_while_in_use_is_made_again(
    folder: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, drill: Drill
) -> None:
    monkeypatch.setattr(spool_module, "PLACE_CHECK_SECONDS", 0.0)
    database = make_database(sqlite_url)
    spool = Spool(folder, destination=database.fingerprint)
    spool.append("sms", make_body("before"))
    shutil.rmtree(folder)
    spool.append("sms", make_body("after"))
    assert len(list(folder.glob("*.spool"))) == 1
    Drain(spool, database).run_once()
    rows = count_marks(database)
    both = rows == {"before": 1, "after": 1}
    drill.expect("folder removed while open: entries kept", expected=2, measured=rows.total(), held=both)


def test_empty_spool_is_deleted_when_it_is_closed(folder: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    spool = Spool(folder, destination=database.fingerprint)
    spool.append("sms", make_body("one"))
    spool.close()
    assert len(list(folder.glob("*.spool"))) == 1
    successor = Spool(folder, destination=database.fingerprint)
    Drain(successor, database).run_once()
    successor.close()
    assert list(folder.iterdir()) == []
    assert count_marks(database) == {"one": 1}


def test_drained_entry_is_not_readable_in_any_file(
    folder: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "QUIET_SECONDS", 0.0)
    database = make_database(sqlite_url)
    spool = Spool(folder, destination=database.fingerprint)
    spool.append("sms", make_body("find-me-here", content="find-me-too" * 1000))
    assert any(b"find-me" in path.read_bytes() for path in folder.iterdir())
    Drain(spool, database).run_once()
    assert not any(b"find-me" in path.read_bytes() for path in folder.iterdir())


def test_file_that_a_backlog_made_large_is_replaced(
    folder: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "QUIET_SECONDS", 0.0)
    database = make_database(sqlite_url)
    spool = Spool(folder, destination=database.fingerprint)
    for number in range(100):
        spool.append("sms", make_body(f"{number}", content="x" * 100_000))
    drain = Drain(spool, database)
    drain.run_once()
    drain.run_once()
    assert list(folder.iterdir()) == []
    spool.append("sms", make_body("after"))
    assert drain.run_once() == 1
    assert set(count_marks(database).values()) == {1}


def test_entry_goes_to_another_file_while_somebody_is_at_work_in_its_own(folder: Path, sqlite_url: str) -> None:
    """A drain of another process may be frozen there; what waited in memory would be gone with this process."""
    database = make_database(sqlite_url)
    spool = Spool(folder, destination=database.fingerprint)
    assert spool.append("sms", make_body("before")) is not None
    (path,) = folder.glob("*.spool")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert spool.append("sms", make_body("during")) is not None
        assert spool.problem() is None
        assert len(list(folder.glob("*.spool"))) == 2
    Drain(spool, database).run_once()
    assert count_marks(database) == {"before": 1, "during": 1}
    assert not path.exists()


def test_files_stay_few_while_somebody_keeps_each_busy(
    folder: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "MOST_RETIRED", 3)
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)
    database = make_database(sqlite_url)
    spool = Spool(folder, destination=database.fingerprint)
    with ExitStack() as others:
        for number in range(6):
            assert spool.append("sms", make_body(f"{number}")) is not None
            for path in folder.glob("*.spool"):
                other = others.enter_context(closing(sqlite3.connect(path, isolation_level=None, timeout=0)))
                with suppress(sqlite3.OperationalError):
                    other.execute("BEGIN IMMEDIATE")
        assert len(list(folder.glob("*.spool"))) == 4
        assert "database is locked" in str(spool.problem())
    Drain(spool, database).run_once()
    assert set(count_marks(database).values()) == {1}
    assert len(count_marks(database)) == 6
