"""Recording through methods, signals and hooks: one row an attempt, and never an exception into the host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, abort

from melody_logs import MelodyLogs, signals
from melody_logs.state import state_of
from tests.hosts import close_host, make_host
from tests.recording.hostile import Disguised, Unreadable
from tests.storage.rows import assert_totals_match, read_all


@pytest.fixture
def host(database_url: str, tmp_path: Any) -> Iterator[tuple[Flask, MelodyLogs]]:
    app, logs = make_host(database_url, tmp_path=tmp_path)
    yield app, logs
    assert_totals_match(close_host(app).database)


def rows_of(app: Flask, kind: Any) -> list[Any]:
    return read_all(state_of(app).database, kind)


def test_sign_in_takes_its_facts_from_the_request(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.get("/try")
    def attempt() -> str:
        return str(logs.record_sign_in(identity="ann@example.org", success=False, reason="wrong_password"))

    headers = {"User-Agent": "Browser/1.0", "Referer": "https://example.org/x", "X-Request-ID": "abc"}
    event_id = app.test_client().get("/try", headers=headers, environ_base={"REMOTE_ADDR": "::ffff:8.8.8.8"}).text
    (row,) = rows_of(app, "sign-in")
    assert row.event_id == event_id
    assert (row.outcome, row.reason, row.identity) == ("failure", "wrong_password", "ann@example.org")
    assert (row.ip, row.user_agent, row.referrer) == ("8.8.8.8", "Browser/1.0", "https://example.org/x")
    assert (row.endpoint, row.request_id, row.geo_state) == ("attempt", "abc", "pending")


def test_signals_of_one_request_become_one_entry(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host

    @app.get("/try")
    def attempt() -> str:
        signals.sign_in_attempted.send(app, identity="ann@example.org", outcome="success", unknown="ignored")
        signals.sign_in_attempted.send(app, user_id=7, method="passkey")
        return "ok"

    app.test_client().get("/try")
    (row,) = rows_of(app, "sign-in")
    assert (row.identity, row.user_id, row.user_id_is_integer) == ("ann@example.org", "7", True)
    assert (row.outcome, row.method, row.version) == ("success", "passkey", 1)


def test_signal_after_an_explicit_record_amends_its_row(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.get("/try")
    def attempt() -> str:
        event_id = logs.record_sign_in(identity="ann@example.org", success=False, reason="locked_account")
        signals.sign_in_attempted.send(app, outcome="success", method="password", user_id=7)
        return str(event_id)

    event_id = app.test_client().get("/try").text
    (row,) = rows_of(app, "sign-in")
    assert row.event_id == event_id
    assert (row.outcome, row.reason) == ("failure", "locked_account")
    assert (row.method, row.user_id, row.version) == ("password", "7", 2)


def test_two_explicit_records_are_two_attempts(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    with app.test_request_context():
        logs.record_sign_in(identity="ann@example.org", success=False)
        logs.record_sign_in(identity="ann@example.org", success=True)
    assert [row.outcome for row in rows_of(app, "sign-in")] == ["failure", "success"]


@pytest.mark.parametrize("end", ["abort", "raise"])
def test_attempt_is_recorded_however_the_request_ends(host: tuple[Flask, MelodyLogs], end: str) -> None:
    app, _ = host
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.get("/try")
    def attempt() -> str:
        signals.sign_in_attempted.send(app, identity="ann@example.org", success=False)
        if end == "abort":
            abort(401)
        raise RuntimeError("the host's own fault")

    assert app.test_client().get("/try").status_code in (401, 500)
    assert len(rows_of(app, "sign-in")) == 1


def test_message_signals_are_recorded_at_once(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    with app.app_context():
        signals.email_sent.send(app, receiver="ann@example.org", subject="Hi", content="x", success=True)
        signals.sms_sent.send(app, receiver="+16471231111", content="x", status="failed", response="no route")
    assert [row.status for row in rows_of(app, "email")] == ["sent"]
    assert [(row.status, row.response) for row in rows_of(app, "sms")] == [("failed", "no route")]


def test_signal_of_another_app_is_not_ours(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    signals.email_sent.send(Flask("other"), receiver="ann@example.org", success=True)
    assert rows_of(app, "email") == []


def test_sending_shows_pending_before_the_provider_is_called(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    with app.app_context(), logs.sending_email(receiver="ann@example.org", subject="Hi", content="Hello") as sending:
        (row,) = rows_of(app, "email")
        assert (row.status, row.content) == ("pending", "Hello")
        sending.sent("250 OK", provider_message_id="m-1")
    (row,) = rows_of(app, "email")
    assert (row.status, row.response, row.provider_message_id) == ("sent", "250 OK", "m-1")
    assert (row.content, row.subject, row.version) == ("Hello", "Hi", 2)


def test_provider_exception_is_recorded_and_goes_on_unchanged(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    error = ConnectionRefusedError("no mail today, token s3cr3t-t0ken")
    with (
        app.app_context(),
        pytest.raises(ConnectionRefusedError) as caught,
        logs.sending_sms(receiver="+16471231111", content="s3cr3t-t0ken", secrets=["s3cr3t-t0ken"]),
    ):
        raise error
    assert caught.value is error
    (row,) = rows_of(app, "sms")
    assert row.status == "failed"
    assert row.response.startswith("ConnectionRefusedError: no mail today")
    assert "s3cr3t" not in row.response + row.content


def test_secrets_from_an_iterator_are_gone_in_both_phases(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    secrets = iter(["Sommerregen"])
    with app.app_context(), logs.sending_email(content="use Sommerregen", secrets=secrets) as sending:
        sending.failed("rejected: use Sommerregen")
    (row,) = rows_of(app, "email")
    assert (row.content, row.response) == ("use [redacted]", "rejected: use [redacted]")


def test_secrets_that_cannot_be_read_withhold_the_texts_of_both_phases(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    def broken() -> Iterator[str]:
        yield "Sommerregen"
        raise RuntimeError("no more")

    with app.app_context(), logs.sending_email(content="use Winterwind", secrets=broken()) as sending:
        sending.failed("rejected: use Winterwind")
    (row,) = rows_of(app, "email")
    assert (row.status, row.content, row.response) == ("failed", None, None)


def test_event_that_cannot_be_compared_is_a_marked_sign_in(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    values: list[Any] = [Disguised("sign_in"), Disguised("odd"), Unreadable(), ["sign_in"]]

    @app.get("/try")
    def attempt() -> str:
        for value in values:
            logs.record_sign_in(identity="ann@example.org", event=value)
        signals.sign_in_attempted.send(app, event=Disguised("sign_out"))
        return "ok"

    assert app.test_client().get("/try").text == "ok"
    assert sorted(row.event for row in rows_of(app, "sign-in")) == ["sign_in"] * 4 + ["sign_out"]


def test_transform_changes_what_is_recorded(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @logs.transform
    def shorten(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        return fields | {"subject": f"{kind}: {fields['subject']}", "marks": "flood:total " + "x" * 5000}

    with app.app_context():
        logs.record_email(receiver="ann@example.org", subject="Hi", success=True)
    (row,) = rows_of(app, "email")
    assert (row.subject, row.marks) == ("email: Hi", None)


def test_broken_transform_keeps_the_entry_as_it_was(
    host: tuple[Flask, MelodyLogs], caplog: pytest.LogCaptureFixture
) -> None:
    app, logs = host
    logs.transform(lambda kind, fields: 1 / 0)  # type: ignore[arg-type, return-value]
    with app.app_context():
        assert logs.record_email(receiver="ann@example.org", subject="Hi", success=True)
    (row,) = rows_of(app, "email")
    assert row.subject == "Hi"
    assert "transform:failed" in row.marks
    assert "transform function raised" in caplog.text


def test_excluded_entry_is_not_recorded(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    logs.exclude(lambda kind, fields: fields.get("receiver") == "probe@example.org")
    with app.app_context():
        assert logs.record_email(receiver="probe@example.org", success=True) is None
        assert logs.record_email(receiver="ann@example.org", success=True)
    assert [row.receiver for row in rows_of(app, "email")] == ["ann@example.org"]


def test_broken_exclude_keeps_the_entry(host: tuple[Flask, MelodyLogs], caplog: pytest.LogCaptureFixture) -> None:
    app, logs = host
    logs.exclude(lambda kind, fields: bool(1 / 0))
    with app.app_context():
        assert logs.record_email(receiver="ann@example.org", success=True)
    assert len(rows_of(app, "email")) == 1
    assert "exclude function raised" in caplog.text


def test_recorded_entries_are_announced_and_a_broken_listener_is_harmless(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    seen: list[Any] = []

    def listen(sender: Flask, **payload: Any) -> None:
        seen.append((sender, payload))
        raise RuntimeError("the listener's own fault")

    with signals.entry_recorded.connected_to(listen, sender=app), app.app_context():
        event_id = logs.record_email(receiver="ann@example.org", success=True)
    assert seen == [(app, {"kind": "email", "event_id": event_id, "folded": False})]
    assert event_id is not None


def test_error_of_ours_in_announcing_an_entry_does_not_lose_it(
    host: tuple[Flask, MelodyLogs], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, logs = host

    def fail() -> bool:
        raise RuntimeError("our own fault")

    monkeypatch.setattr("melody_logs.recording.announcing.has_app_context", fail)
    with signals.entry_recorded.connected_to(lambda sender, **payload: None, sender=app), app.app_context():
        event_id = logs.record_email(receiver="ann@example.org", success=True)
    assert [row.event_id for row in rows_of(app, "email")] == [event_id]
    assert state_of(app).recorder.failures.totals() == {}


def test_hosts_are_told_when_the_spool_falls_back(tmp_path: Any) -> None:
    blocked = tmp_path / "spool"
    blocked.write_text("a file where the folder should be")
    app, logs = make_host(f"sqlite:///{tmp_path}/logs.db", tmp_path=tmp_path, MELODY_LOGS_SPOOL_DIR=str(blocked))
    told: list[Any] = []

    def listen(sender: Flask, **payload: Any) -> None:
        told.append(payload)

    with signals.logs_degraded.connected_to(listen, sender=app), app.app_context():
        logs.record_sms(receiver="+16471231111", success=True)
        logs.record_sms(receiver="+16471231111", success=True)
    assert len(told) == 1
    assert "spool" in told[0]["reason"] and told[0]["lost"] == {}
    assert len(rows_of(app, "sms")) == 2
    close_host(app)


def test_hostile_values_are_recorded_in_a_cleaned_form(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with app.app_context():
        assert logs.record_sign_in(identity=Hostile(), success=True, ip=Hostile(), user_agent="\ud800\0" * 600_000)
        assert logs.record_email(receiver=Hostile(), content=object(), success=None, secrets=Hostile())
    assert len(rows_of(app, "sign-in")) == len(rows_of(app, "email")) == 1


def test_entry_left_out_is_not_asked_about_again_and_lends_nothing_to_the_next(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    answers = [True, False]
    logs.exclude(lambda kind, fields: answers.pop(0))

    @app.get("/try")
    def attempt() -> str:
        assert logs.record_sign_in(identity="probe@example.org", success=False, user_id=1) is None
        assert logs.record_sign_in(identity="ann@example.org", success=True)
        return "ok"

    app.test_client().get("/try")
    (row,) = rows_of(app, "sign-in")
    assert (row.identity, row.user_id, answers) == ("ann@example.org", None, [])


def test_both_phases_of_a_message_pass_the_transform_whole(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @logs.transform
    def shorten(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        return fields | {"subject": fields["subject"].upper(), "response": "hidden"}

    logs.exclude(lambda kind, fields: fields["status"] == "sent")
    with app.app_context(), logs.sending_email(receiver="ann@example.org", subject="Hi", content="x") as sending:
        sending.sent("250 OK")
    (row,) = rows_of(app, "email")
    assert (row.status, row.subject, row.response, row.marks) == ("sent", "HI", "hidden", None)


def test_receiver_that_records_is_not_called_without_end(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    def alert(sender: Flask, **payload: Any) -> None:
        logs.record_email(receiver="admin@example.org", success=True)

    with signals.entry_recorded.connected_to(alert, sender=app), app.app_context():
        logs.record_sms(receiver="+16471231111", success=True)
    assert (len(rows_of(app, "sms")), len(rows_of(app, "email"))) == (1, 1)
