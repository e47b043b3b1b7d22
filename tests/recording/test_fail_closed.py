"""Failing closed: what cannot be made durable is refused before it is done, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask

from melody_logs import LogUnavailable, MelodyLogs, signals
from melody_logs.recording import spool as spool_module
from melody_logs.recording.flood import FloodGuard
from melody_logs.state import state_of
from tests.drills.raising import raising_at
from tests.hosts import add_login_view, close_host, make_host
from tests.recording.flooding import Clock, samples_of
from tests.storage.rows import read_all

ANN = {"email": "ann@example.org", "password": "right"}
MakeClosedHost = Callable[..., tuple[Flask, MelodyLogs]]


@pytest.fixture
def make_closed_host(sqlite_url: str, tmp_path: Path) -> Iterator[MakeClosedHost]:
    apps = []

    def make(**config: Any) -> tuple[Flask, MelodyLogs]:
        usual: dict[str, Any] = {
            "MELODY_LOGS_WRITER": "spool",
            "MELODY_LOGS_ON_FAILURE": "fail_closed",
            "TESTING": False,
        }
        app, logs = make_host(sqlite_url, tmp_path=tmp_path, **usual | config)
        apps.append(app)
        return app, logs

    yield make
    for app in apps:
        close_host(app)


def break_disk(app: Flask) -> Callable[[], None]:
    """Put a file where the spool's folder should be, as a disk that is not mounted would; the result mends it."""
    folder = state_of(app).spool.directory
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("no folder")
    return folder.unlink


def drained_rows(app: Flask, kind: Any) -> list[Any]:
    state_of(app).drain.run_once()
    return read_all(state_of(app).database, kind)


def test_what_the_disk_refuses_is_refused_and_neither_kept_nor_counted_as_lost(
    make_closed_host: MakeClosedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)
    app, logs = make_closed_host()
    mend = break_disk(app)
    with app.app_context():
        for record in (logs.record_sign_in, logs.record_email, logs.record_sms):
            with pytest.raises(LogUnavailable, match=r'"fail_closed".*or no folder'):
                record(success=True)
    mend()
    with app.app_context():
        assert logs.record_email(receiver="ann@example.org", success=True) is not None
    assert [row.receiver for row in drained_rows(app, "email")] == ["ann@example.org"]
    assert drained_rows(app, "sign-in") == drained_rows(app, "sms") == []
    assert state_of(app).spool.losses.totals() == {}
    assert state_of(app).recorder.refused.totals() == {"sign-in": 1, "email": 1, "sms": 1}


def test_refused_attempt_takes_the_facts_of_a_counted_row_not_with_it(
    make_closed_host: MakeClosedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)
    app, logs = make_closed_host(MELODY_LOGS_FLOOD_WHOLE_PER_MINUTE=1)
    fields: dict[str, Any] = {"identity": "ann@example.org", "ip": "8.8.8.8", "success": False}
    mend = break_disk(app)
    with app.app_context():
        for _ in range(3):
            with pytest.raises(LogUnavailable):
                logs.record_sign_in(**fields)
        mend()
        for _ in range(8):
            logs.record_sign_in(**fields)
    rows = drained_rows(app, "sign-in")
    assert sum(row.folded_count or 1 for row in rows) == 8
    assert {(row.identity, row.ip) for row in rows} == {("ann@example.org", "8.8.8.8")}


def test_message_is_not_sent_if_its_first_phase_is_refused(make_closed_host: MakeClosedHost) -> None:
    app, logs = make_closed_host()
    break_disk(app)
    sent = []
    with app.app_context():
        for sending in (logs.sending_email, logs.sending_sms):
            with pytest.raises(LogUnavailable), sending(receiver="ann@example.org"):
                sent.append("a message")
    assert sent == []


def test_second_phase_of_a_message_never_raises(make_closed_host: MakeClosedHost) -> None:
    app, logs = make_closed_host(MELODY_LOGS_SPOOL_MAX_MEGABYTES=1, MELODY_LOGS_DRAIN_IN_PROCESS=False)
    with app.app_context(), logs.sending_email(receiver="ann@example.org") as sending:
        with pytest.raises(LogUnavailable, match="MELODY_LOGS_SPOOL_MAX_MEGABYTES"):
            for _ in range(1000):
                logs.record_sms(content="x" * 10_000)
        sending.sent("250 OK")
    assert state_of(app).spool.problem() is not None
    assert [(row.status, row.response) for row in drained_rows(app, "email")] == [("sent", "250 OK")]


def test_signals_and_hooks_never_raise(make_closed_host: MakeClosedHost) -> None:
    app, _ = make_closed_host()
    break_disk(app)

    @app.post("/try")
    def attempt() -> str:
        signals.sign_in_attempted.send(app, identity="ann@example.org", success=True)
        signals.email_sent.send(app, receiver="ann@example.org", success=True)
        return "done"

    assert app.test_client().post("/try").text == "done"
    assert [row.identity for row in drained_rows(app, "sign-in")] == ["ann@example.org"]
    assert [row.receiver for row in drained_rows(app, "email")] == ["ann@example.org"]


def test_watched_view_does_not_run_while_the_disk_refuses(
    make_closed_host: MakeClosedHost, serve: Callable[[Flask], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)
    app, logs = make_closed_host()
    add_login_view(app)
    logs.watch_sign_in("auth.login")
    mend = break_disk(app)
    with httpx.Client(base_url=serve(app)) as client:
        refused = client.post("/login", data=ANN)
        assert (refused.status_code, refused.cookies.get("session")) == (503, None)
        assert "Retry-After" in refused.headers
        assert str(state_of(app).spool.directory) not in refused.text
        assert client.get("/login").status_code == 200
        mend()
        assert client.post("/login", data=ANN).status_code == 302
    assert [row.outcome for row in drained_rows(app, "sign-in")] == ["success"]
    assert state_of(app).recorder.refused.totals() == {"sign-in": 1}


def test_watched_view_does_not_run_while_the_spool_is_full(make_closed_host: MakeClosedHost) -> None:
    app, logs = make_closed_host(MELODY_LOGS_SPOOL_MAX_MEGABYTES=1, MELODY_LOGS_DRAIN_IN_PROCESS=False)
    add_login_view(app)
    logs.watch_sign_in("auth.login")
    spool = state_of(app).spool
    while spool.append("sms", b"x" * 500, in_memory=False, may_refuse=True) is not None:
        pass
    spool.note_room()
    # The last entry was refused, so the disk is really asked, and is still full.
    assert "is full" in (spool.find_refusal() or "")
    assert app.test_client().post("/login", data=ANN).status_code == 503


def test_host_answers_with_a_handler_of_its_own(make_closed_host: MakeClosedHost) -> None:
    app, logs = make_closed_host()
    add_login_view(app)
    logs.watch_sign_in("auth.login")
    told = []

    @app.errorhandler(LogUnavailable)
    def answer(error: LogUnavailable) -> tuple[str, int]:
        told.append(error.reason)
        return str(error), 503

    break_disk(app)
    answered = app.test_client().post("/login", data=ANN)
    assert answered.status_code == 503
    assert "could not be logged" in answered.text and "folder" not in answered.text
    assert "or no folder" in told[0]


def test_disabled_kind_and_excluded_entry_raise_nothing(make_closed_host: MakeClosedHost) -> None:
    app, logs = make_closed_host(MELODY_LOGS_ENABLE_SMS_LOG=False)
    logs.exclude(lambda kind, fields: fields.get("receiver") == "monitor@example.org")
    break_disk(app)
    with app.app_context():
        assert logs.record_sms(receiver="+15005550006") is None
        assert logs.record_email(receiver="monitor@example.org") is None


def test_error_inside_melody_logs_is_refused_too(make_closed_host: MakeClosedHost) -> None:
    app, logs = make_closed_host()

    class Broken(dict[str, Any]):
        def pop(self, *given: Any) -> Any:
            raise RuntimeError("broken")

    logs.transform(lambda kind, fields: Broken(fields))
    with app.app_context(), pytest.raises(LogUnavailable, match="RuntimeError"):
        logs.record_email(receiver="ann@example.org")
    assert state_of(app).recorder.refused.totals() == {"email": 1}
    assert state_of(app).spool.losses.totals() == {}


def test_error_of_the_check_before_a_watched_view_refuses_it(make_closed_host: MakeClosedHost) -> None:
    app, logs = make_closed_host()
    add_login_view(app)
    logs.watch_sign_in("auth.login")
    with raising_at(("recording/spool.py", "Spool.find_refusal")) as raised:
        assert app.test_client().post("/login", data=ANN).status_code == 503
    assert raised
    assert state_of(app).recorder.refused.totals() == {"sign-in": 1}
    assert app.test_client().post("/login", data=ANN).status_code == 302


@pytest.mark.parametrize("step", ["DrainThread.ensure_started", "DrainThread.notify", "DrainThread.wait_until"])
def test_error_after_an_entry_was_kept_neither_refuses_nor_loses_it(
    make_closed_host: MakeClosedHost, step: str
) -> None:
    app, logs = make_closed_host(MELODY_LOGS_WRITER="direct")
    with app.app_context(), raising_at(("recording/drain_thread.py", step)) as raised:
        event_id = logs.record_email(receiver="ann@example.org", success=True)
    assert raised and event_id is not None
    assert [row.event_id for row in drained_rows(app, "email")] == [event_id]
    assert state_of(app).recorder.refused.totals() == state_of(app).spool.losses.totals() == {}


def test_facts_of_a_counted_row_that_were_refused_come_with_the_next_attempt(make_closed_host: MakeClosedHost) -> None:
    app, logs = make_closed_host(MELODY_LOGS_SPOOL_MAX_MEGABYTES=1, MELODY_LOGS_DRAIN_IN_PROCESS=False)
    state_of(app).recorder.flood = FloodGuard(2, clock=Clock())

    def fail() -> str | None:
        return logs.record_sign_in(identity="ann@example.org", ip="8.8.8.8", success=False)

    with app.app_context():
        assert fail() != fail()
        with pytest.raises(LogUnavailable):
            for _ in range(1000):
                logs.record_sms(content="x" * 10_000)
        with pytest.raises(LogUnavailable):
            fail()
        state_of(app).drain.run_once()
        assert fail() == fail()
    counted = drained_rows(app, "sign-in")[-1]
    assert (counted.folded_count, counted.identity, counted.ip) == (2, "ann@example.org", "8.8.8.8")
    assert len(samples_of(counted)) == 1


def test_direct_writer_is_content_with_the_database(make_closed_host: MakeClosedHost) -> None:
    app, logs = make_closed_host(MELODY_LOGS_WRITER="direct", MELODY_LOGS_DIRECT_TIMEOUT_MILLISECONDS=10_000)
    break_disk(app)
    with app.app_context():
        assert logs.record_email(receiver="ann@example.org", success=True) is not None
    assert [row.receiver for row in read_all(state_of(app).database, "email")] == ["ann@example.org"]


def test_direct_writer_refuses_and_forgets_what_neither_took(make_closed_host: MakeClosedHost, tmp_path: Path) -> None:
    app, logs = make_closed_host(MELODY_LOGS_WRITER="direct", MELODY_LOGS_DIRECT_TIMEOUT_MILLISECONDS=1000)
    break_disk(app)
    database = state_of(app).database
    with app.app_context():
        with database.write(), pytest.raises(LogUnavailable):
            logs.record_email(receiver="refused@example.org", success=True)
        state_of(app).drain_thread.stop()
        logs.record_email(receiver="kept@example.org", success=True)
    receivers = [row.receiver for row in drained_rows(app, "email")]
    assert receivers[-1] == "kept@example.org"
    assert state_of(app).spool.waiting().entries == 0
