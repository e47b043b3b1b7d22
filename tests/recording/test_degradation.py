"""When something becomes worse the host is told once, and its log is not flooded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from melody_logs import MelodyLogs
from melody_logs.recording import degradation
from melody_logs.recording.drain import DrainState
from melody_logs.recording.losses import LossCounter, SparseLog
from melody_logs.recording.spool_memory import MEMORY_ENTRIES
from melody_logs.signals import logs_degraded
from melody_logs.state import state_of
from tests.hosts import close_host, make_host
from tests.recording.spool_rows import make_body
from tests.servers.processes import wait_until

Told = list[tuple[str, dict[str, int]]]


@pytest.fixture
def host(sqlite_url: str, tmp_path: Path) -> Iterator[tuple[Flask, MelodyLogs, Told]]:
    """A host that drains only when it is told to, and what it was told by the signal."""
    app, logs = make_host(sqlite_url, tmp_path=tmp_path, MELODY_LOGS_WRITER="spool", MELODY_LOGS_DRAIN_IN_PROCESS=False)
    told: Told = []

    def listen(sender: Flask, reason: str, lost: dict[str, int]) -> None:
        told.append((reason, lost))

    logs_degraded.connect(listen, sender=app)
    with app.app_context():
        yield app, logs, told
    close_host(app)


def break_disk(app: Flask) -> None:
    folder = state_of(app).spool.directory
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("no folder")


def test_fall_back_is_told_once_and_each_loss_each_time(host: tuple[Flask, MelodyLogs, Told]) -> None:
    app, logs, told = host
    break_disk(app)
    for _ in range(MEMORY_ENTRIES):
        logs.record_sms(receiver="+15005550006")
    assert [(lost, "wait in memory" in reason) for reason, lost in told] == [({}, True)]
    for _ in range(3):
        assert logs.record_sms(receiver="+15005550006") is None
    assert [lost for _, lost in told[1:]] == [{"sms": 1}, {"sms": 2}, {"sms": 3}]
    assert {reason for reason, _ in told[1:]} == {"an entry was lost: neither disk nor memory takes it"}


def test_database_that_is_away_for_a_minute_is_told_once(host: tuple[Flask, MelodyLogs, Told], tmp_path: Path) -> None:
    app, logs, told = host
    state = state_of(app)
    logs.record_sms(receiver="+15005550006")
    state.database.close()
    (tmp_path / "logs.db").rename(tmp_path / "away.db")
    (tmp_path / "logs.db").mkdir()
    with pytest.raises(OperationalError):
        state.drain.run_once()
    logs.record_sms(receiver="+15005550006")
    assert told == []
    assert state.drain.state.failing_since is not None
    state.drain.state.failing_since -= timedelta(minutes=1)
    logs.record_sms(receiver="+15005550006")
    logs.record_sms(receiver="+15005550006")
    assert ["over a minute" in reason for reason, _ in told] == [True]
    state.database.close()
    (tmp_path / "logs.db").rmdir()
    (tmp_path / "away.db").rename(tmp_path / "logs.db")
    assert state.drain.run_once() == 4
    logs.record_sms(receiver="+15005550006")
    assert len(told) == 1


def test_rejected_entries_are_told_with_the_next_one(host: tuple[Flask, MelodyLogs, Told]) -> None:
    app, logs, told = host
    state = state_of(app)
    state.spool.append("sms", b"no entry")
    state.spool.append("sms", make_body("kept"))
    state.drain.run_once()
    assert told == []
    logs.record_sms(receiver="+15005550006")
    logs.record_sms(receiver="+15005550006")
    assert [reason for reason, _ in told] == ["1 entry cannot be written and is kept aside"]


def test_trouble_that_threads_see_at_once_is_told_once(
    host: tuple[Flask, MelodyLogs, Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, _, _ = host
    rejecting = DrainState(dead_letters=2)
    meeting = threading.Barrier(2)
    explain = degradation._explain_drain

    def explain_together(drain: DrainState) -> str | None:
        # Both threads have read what was told, if nothing keeps the second one out.
        with suppress(threading.BrokenBarrierError):
            meeting.wait(0.2)
        return explain(drain)

    monkeypatch.setattr(degradation, "_explain_drain", explain_together)
    find_news = state_of(app).recorder.degradation.find_news
    with ThreadPoolExecutor(2) as pool:
        news = list(pool.map(lambda _: find_news(rejecting, None), range(2)))
    assert sorted(news, key=str) == ["2 entries cannot be written and are kept aside", None]


@pytest.mark.parametrize("trouble", ["disk", "transform", "exclude", "inside"])
def test_thousand_failures_are_one_line_of_the_log(
    host: tuple[Flask, MelodyLogs, Told], caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    app, logs, _ = host

    def fail(kind: str, fields: dict[str, Any]) -> Any:
        raise RuntimeError("the host's own fault")

    class Broken(dict[str, Any]):
        def pop(self, *given: Any) -> Any:
            raise RuntimeError("broken")

    if trouble == "disk":
        break_disk(app)
    elif trouble == "inside":
        logs.transform(lambda kind, fields: Broken(fields))
    else:
        getattr(logs, trouble)(fail)
    for _ in range(1000):
        logs.record_sms(receiver="+15005550006")
    assert len([record for record in caplog.records if record.name == "melody_logs"]) == 1


def test_loss_in_a_signal_handler_does_not_wait_for_its_own_thread() -> None:
    losses = LossCounter()
    with losses._lock:
        losses.count("sms")
    assert losses.untold() == losses.totals() == {"sms": 1}


def test_next_line_says_how_many_were_left_out(caplog: pytest.LogCaptureFixture) -> None:
    log = SparseLog(pause_seconds=0.2)
    warned = 0

    def warn_until_told_of_others() -> bool:
        nonlocal warned
        warned += 1
        log.warn("failure")
        return "(" in caplog.records[-1].getMessage()

    wait_until(warn_until_told_of_others, what="a line that names those left out")
    first, *_, last = [record.getMessage() for record in caplog.records]
    assert first == "failure"
    assert last == f"failure ({warned - len(caplog.records)} more warnings since the last one)"


@pytest.mark.parametrize("trouble", ["disk", "transform", "exclude"])
def test_log_of_the_host_that_raises_stops_neither_host_nor_entry(
    host: tuple[Flask, MelodyLogs, Told], trouble: str
) -> None:
    app, logs, _ = host
    warned: list[logging.LogRecord] = []

    def fail(*given: Any) -> Any:
        raise RuntimeError("a function of the host")

    def look(record: logging.LogRecord) -> bool:
        warned.append(record)
        raise RuntimeError("a filter of the host asks for the request, and there is none")

    if trouble == "disk":
        break_disk(app)
    else:
        getattr(logs, trouble)(fail)
    logger = logging.getLogger("melody_logs")
    logger.addFilter(look)
    try:
        assert logs.record_sms(receiver="+15005550006")
    finally:
        logger.removeFilter(look)
    assert warned
