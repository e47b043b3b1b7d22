"""A spool that fills up: what happened is kept when there is no room for bodies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from melody_logs import MelodyLogs
from melody_logs.recording.spool_file import NEARLY_FULL
from melody_logs.state import state_of
from tests.hosts import close_host, make_host
from tests.storage.rows import read_all

BODY_BYTES = 50_000
LIMIT_BYTES = 1024 * 1024


@pytest.fixture
def host(database_url: str, tmp_path: Path) -> Iterator[tuple[Flask, MelodyLogs]]:
    """A host whose spool takes 1 MB, and is drained when the test says so."""
    config: dict[str, Any] = {"MELODY_LOGS_WRITER": "spool", "MELODY_LOGS_DRAIN_IN_PROCESS": False}
    app, logs = make_host(database_url, tmp_path=tmp_path, MELODY_LOGS_SPOOL_MAX_MEGABYTES=1, **config)
    with app.app_context():
        yield app, logs
    close_host(app)


def mail(logs: MelodyLogs, number: int) -> str | None:
    body = os.urandom(BODY_BYTES // 2).hex()
    return logs.record_email(receiver=f"user{number}@example.org", subject="News", content=body, success=True)


def test_bodies_are_left_out_of_a_spool_that_is_nearly_full_and_the_rest_is_kept(
    host: tuple[Flask, MelodyLogs],
) -> None:
    app, logs = host
    assert all([mail(logs, number) for number in range(100)])
    assert logs.record_sign_in(identity="ann@example.org", success=True)
    assert state_of(app).spool.problem() is None
    assert state_of(app).drain.run_once() == 101
    rows = read_all(state_of(app).database, "email")
    whole = sum(row.content is not None for row in rows)
    assert whole == pytest.approx(LIMIT_BYTES * NEARLY_FULL / BODY_BYTES, abs=2)
    assert all(row.content and row.marks is None for row in rows[:whole])
    assert {row.marks for row in rows[whole:]} == {"content:withheld spool:nearly_full"}
    assert {(row.content_bytes, row.subject, row.status, row.content_type) for row in rows} == {
        (BODY_BYTES, "News", "sent", "text/plain")
    }
    assert [row.receiver for row in rows] == [f"user{number}@example.org" for number in range(100)]


def test_bodies_are_kept_again_when_the_spool_was_drained(host: tuple[Flask, MelodyLogs]) -> None:
    """Though the file stays as large as it was."""
    app, logs = host
    for number in range(20):
        mail(logs, number)
    state_of(app).drain.run_once()
    mail(logs, 20)
    state_of(app).drain.run_once()
    *_, last = read_all(state_of(app).database, "email")
    assert (len(last.content), last.marks) == (BODY_BYTES, None)


def test_message_without_a_body_is_not_marked(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    for number in range(20):
        mail(logs, number)
    with logs.sending_sms(receiver="+16471231111") as sending:
        sending.sent("queued")
    state_of(app).drain.run_once()
    (row,) = read_all(state_of(app).database, "sms")
    assert (row.status, row.marks) == ("sent", None)
