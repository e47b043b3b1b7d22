"""The drain thread: rows come by themselves, soon, and again after the database was away."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from melody_logs.recording import drain_thread
from melody_logs.recording.drain import Drain
from melody_logs.recording.drain_thread import DrainThread
from melody_logs.recording.spool import Spool
from melody_logs.storage.database import Database
from tests.conftest import ServedDatabase
from tests.recording.spool_rows import count_marks, make_body, make_database
from tests.servers.processes import PATIENCE_SECONDS, wait_until


class Writer:
    """A spool with its drain thread, as a process of the host has it."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.spool = Spool(folder, destination=database.fingerprint)
        self.drain = Drain(self.spool, database)
        self.thread = DrainThread(self.drain, 0.25)

    def record(self, mark: str) -> int:
        """Append as the recorder does."""
        number = self.spool.append("sms", make_body(mark))
        assert number is not None
        self.thread.ensure_started()
        self.thread.notify()
        return number


@pytest.fixture
def make_writer(tmp_path: Path) -> Iterator[Callable[[Database], Writer]]:
    """A function that makes a writer, which is stopped after the test."""
    writers = []

    def make(database: Database) -> Writer:
        writers.append(Writer(tmp_path / "spool", database))
        return writers[-1]

    yield make
    for writer in writers:
        writer.thread.stop()


def test_row_is_visible_within_a_second(make_writer: Callable[[Database], Writer], database_url: str) -> None:
    database = make_database(database_url)
    writer = make_writer(database)
    times = []
    for number in range(3):
        start = time.monotonic()
        writer.record(f"{number}")
        wait_until(lambda: count_marks(database)[f"{number}"] == 1, what="the row")  # noqa: B023
        times.append(time.monotonic() - start)
    # The quickest: the machine may be busy with something else for a while.
    assert min(times) < 1


def test_who_waits_gets_the_row_without_the_interval(
    make_writer: Callable[[Database], Writer], database_url: str
) -> None:
    database = make_database(database_url)
    writer = make_writer(database)
    times = []
    for number in range(20):
        start = time.monotonic()
        assert writer.thread.wait_until(writer.record(f"{number}"), PATIENCE_SECONDS)
        times.append(time.monotonic() - start)
        assert count_marks(database)[f"{number}"] == 1
    assert statistics.median(times) < 0.2


def test_leftovers_of_the_last_run_come_without_a_new_record(
    make_writer: Callable[[Database], Writer], sqlite_url: str, tmp_path: Path
) -> None:
    database = make_database(sqlite_url)
    last_run = Spool(tmp_path / "spool", destination=database.fingerprint)
    last_run.append("sms", make_body("left"))
    last_run.close()
    writer = make_writer(database)
    writer.thread.ensure_started()
    wait_until(lambda: count_marks(database) == {"left": 1}, what="the row")


def test_thread_that_cannot_start_is_told_and_tried_again(
    make_writer: Callable[[Database], Writer], sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operating system refuses it, for want of room for its stack; other processes read of it in the spool."""
    monkeypatch.setattr(drain_thread, "TRY_AGAIN_SECONDS", 0.0)
    database = make_database(sqlite_url)
    writer = make_writer(database)
    other = Spool(tmp_path / "spool", destination=database.fingerprint)
    usual = threading.stack_size(2**47)
    try:
        assert not writer.thread.problem()
        writer.record("first")
        assert "cannot start a thread" in str(writer.thread.problem())
        assert other.waiting().unattended == writer.thread.problem()
        assert writer.thread.wait_until(writer.record("second"), PATIENCE_SECONDS), "who waits drains here and now"
    finally:
        threading.stack_size(usual)
    writer.record("third")
    wait_until(lambda: count_marks(database) == dict.fromkeys(["first", "second", "third"], 1), what="the rows")
    assert writer.thread.problem() is None
    assert not other.waiting().unattended
    other.close()


def test_stop_drains_the_rest_and_leaves_no_file(
    make_writer: Callable[[Database], Writer], sqlite_url: str, tmp_path: Path
) -> None:
    database = make_database(sqlite_url)
    writer = make_writer(database)
    marks = [f"{number}" for number in range(300)]
    for mark in marks:
        writer.record(mark)
    writer.thread.stop()
    assert count_marks(database) == dict.fromkeys(marks, 1)
    assert list((tmp_path / "spool").iterdir()) == []


def test_rows_come_after_the_database_was_away(
    make_writer: Callable[[Database], Writer], served_database: ServedDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(served_database.url)
    writer = make_writer(database)
    assert writer.thread.wait_until(writer.record("before"), PATIENCE_SECONDS)
    served_database.server.kill()
    try:
        for number in range(100):
            writer.record(f"{number}")
        wait_until(lambda: writer.drain.state.error, what="the failure being noticed")
        started_at = time.monotonic()
        assert not writer.thread.wait_until(writer.record("during"), PATIENCE_SECONDS)
        assert time.monotonic() - started_at < 10, "nobody waits for a database that has just failed"
    finally:
        served_database.server.start()
    wait_until(lambda: writer.spool.waiting().entries == 0, what="the spool being empty")
    assert count_marks(database) == dict.fromkeys([*map(str, range(100)), "before", "during"], 1)
    assert writer.drain.state.error is None
    assert len([record for record in caplog.records if "cannot be written" in record.message]) == 1


def test_kill_9_of_the_database_under_a_drain_loses_and_doubles_nothing(
    make_writer: Callable[[Database], Writer], served_database: ServedDatabase
) -> None:
    """It dies while batches are on their way, and comes back with what it had confirmed."""
    database = make_database(served_database.url)
    writer = make_writer(database)
    marks = []
    for kill in range(2):
        batches = writer.drain.state.batches
        for number in range(3000):
            marks.append(f"{kill}-{number}")
            writer.record(marks[-1])
        wait_until(lambda: writer.drain.state.batches > batches, what="the drain being at work")  # noqa: B023
        served_database.server.kill()
        assert writer.spool.waiting().entries
        served_database.server.start()
    wait_until(lambda: writer.spool.waiting().entries == 0, what="the spool being empty")
    assert count_marks(database) == dict.fromkeys(marks, 1)


def test_frozen_database_delays_one_waiting_call_only(
    make_writer: Callable[[Database], Writer], served_database: ServedDatabase
) -> None:
    database = make_database(served_database.url)
    writer = make_writer(database)
    assert writer.thread.wait_until(writer.record("before"), PATIENCE_SECONDS)
    served_database.server.pause()
    try:
        times = []
        for number in range(20):
            start = time.monotonic()
            assert not writer.thread.wait_until(writer.record(f"{number}"), 0.25)
            times.append(time.monotonic() - start)
    finally:
        served_database.server.resume()
    assert max(times) < 2
    assert statistics.median(times) < 0.1
    wait_until(lambda: writer.spool.waiting().entries == 0, what="the spool being empty")
    assert set(count_marks(database).values()) == {1}
    assert sum(count_marks(database).values()) == 21


def test_forked_child_drains_with_a_thread_of_its_own(
    make_writer: Callable[[Database], Writer], database_url: str
) -> None:
    database = make_database(database_url)
    writer = make_writer(database)
    assert writer.thread.wait_until(writer.record("parent"), PATIENCE_SECONDS)
    process_id = os.fork()
    if process_id == 0:
        done = writer.thread.wait_until(writer.record("child"), PATIENCE_SECONDS)
        os._exit(0 if done else 1)
    _, status = os.waitpid(process_id, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert writer.thread.wait_until(writer.record("parent again"), PATIENCE_SECONDS)
    assert count_marks(database) == {"parent": 1, "child": 1, "parent again": 1}


def test_no_thread_runs_where_none_is_allowed(tmp_path: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    drain = Drain(Spool(tmp_path / "spool", destination=database.fingerprint), database)
    drain_thread = DrainThread(drain, 0.25, allowed=False)
    before = threading.active_count()
    drain_thread.ensure_started()
    assert threading.active_count() == before


def test_one_call_only_waits_for_a_locked_database_where_no_thread_runs(tmp_path: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    spool = Spool(tmp_path / "spool", destination=database.fingerprint)
    drain_thread = DrainThread(Drain(spool, database), 0.25, allowed=False)
    seconds = []

    def record(mark: str) -> None:
        number = spool.append("sms", make_body(mark))
        assert number is not None
        begin = time.monotonic()
        assert not drain_thread.wait_until(number, 0.25)
        seconds.append(time.monotonic() - begin)

    with database.write():
        threads = [threading.Thread(target=record, args=(f"{number}",)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        record("later")
    assert sum(each > 3 for each in seconds) == 1
    assert spool.waiting().entries == 7
