"""The tasks without a process around them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from flask import Flask

from melody_logs import NotInitialisedError, tasks
from melody_logs.worker.options import celery_options
from melody_logs.worker.process import drop_stale_messages
from tests.worker.conftest import Host


def test_each_tick_is_dropped_when_the_next_one_is_due(host: Host) -> None:
    """A worker that was away must not work through hours of ticks."""
    schedule = tasks.beat_schedule(host.app)
    assert {entry["task"] for entry in schedule.values()} == set(tasks.INTERVALS_SECONDS)
    for entry in schedule.values():
        assert entry["options"]["expires"] == entry["schedule"]
        assert getattr(tasks, entry["task"].removeprefix("melody_logs.")).name == entry["task"]


def test_schedule_of_an_app_without_logs_is_refused() -> None:
    with pytest.raises(NotInitialisedError, match="init_app"):
        tasks.beat_schedule(Flask("bare"))


def test_task_without_an_app_context_works_for_the_scheduled_app(host: Host) -> None:
    """A host's Celery app without a task class of Flask's kind serves too."""
    tasks.beat_schedule(host.app)
    host.state.recorder.record_sign_in({"identity": "ann@example.org", "success": True})
    tasks.drain()
    assert host.count() == 1


def test_task_that_knows_no_app_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_served", None)
    with pytest.raises(NotInitialisedError, match="app_context"):
        tasks.clean()


def test_drain_of_a_missing_database_keeps_the_entries(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """A tick that cannot reach the database complains once, not every five seconds, and nothing is lost."""
    with host.app.app_context():
        host.state.recorder.record_sign_in({"identity": "ann@example.org", "success": True})
        engine = host.state.database.engine
        with engine.begin() as connection:
            connection.exec_driver_sql(_rename(connection.dialect.name, "melody_sign_in_log", "aside"))
        for _ in range(3):
            tasks.drain()
        with engine.begin() as connection:
            connection.exec_driver_sql(_rename(connection.dialect.name, "aside", "melody_sign_in_log"))
        assert len([record for record in caplog.records if "wait in the spool" in record.message]) <= 1
        tasks.drain()
    assert host.count() == 1


def test_worker_takes_json_only(tmp_path: Path) -> None:
    options = celery_options("redis://127.0.0.1/0", tmp_path)
    assert (options["accept_content"], options["task_serializer"]) == (["json"], "json")


def test_stale_messages_of_the_embedded_broker_go_and_fresh_ones_stay(tmp_path: Path) -> None:
    old, fresh = tmp_path / "1.melody_logs.msg", tmp_path / "2.melody_logs.msg"
    for path in (old, fresh):
        path.write_text("{}")
    an_hour_ago = time.time() - 3600
    os.utime(old, (an_hour_ago, an_hour_ago))
    assert drop_stale_messages(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [fresh]


def _rename(dialect: str, old: str, new: str) -> str:
    schema = "melody_logs." if dialect == "postgresql" else ""
    return f"ALTER TABLE {schema}{old} RENAME TO {new}"
