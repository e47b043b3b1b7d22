"""A host that uses every public name, for a strict type checker; it is read, never run."""

from __future__ import annotations

from flask import Flask, Response, g
from flask_sqlalchemy import SQLAlchemy

from melody_logs import ConfigurationError, LogUnavailable, MelodyLogs, MelodyLogsError, NotInitialisedError
from melody_logs.monitoring import make_collector
from melody_logs.signals import email_sent, entry_recorded, logs_degraded, sign_in_attempted, sms_sent
from melody_logs.tasks import beat_schedule

db = SQLAlchemy()
logs = MelodyLogs()
logs.watch_sign_in(
    "login",
    identity=lambda: "ann@example.org",
    user_id=lambda: 7,
    outcome=lambda response: response.status_code < 400,
    reason=lambda response: "wrong_password",
)


@logs.admin_access
def who_may_enter() -> str | None:
    return "write" if g.get("user") else None


@logs.transform
def shorten(kind: str, fields: dict[str, object]) -> dict[str, object]:
    return {**fields, "subject": "hidden"} if kind == "email" else fields


@logs.exclude
def leave_out(kind: str, fields: dict[str, object]) -> bool:
    return fields.get("receiver") == "monitor@example.org"


def on_entry(sender: Flask, *, kind: str, event_id: str, folded: bool) -> None:
    print(sender.name, kind, event_id, folded)


def create_app() -> Flask:
    app = Flask(__name__)
    try:
        logs.init_app(app, db)
    except ConfigurationError as error:
        raise SystemExit(str(error)) from error
    entry_recorded.connect(on_entry, sender=app)
    logs_degraded.connect(on_entry, sender=app)
    schedule = beat_schedule(app)
    print(len(schedule))
    return app


def record(app: Flask) -> Response:
    try:
        logs.record_sms(receiver="+15005550006")
    except LogUnavailable as error:
        print(error.code, error.reason, list(make_collector(app).collect()))
    event_id: str | None = logs.record_sign_in(identity="ann@example.org", success=True, user_id=7)
    logs.record_email(receiver="ann@example.org", subject="Hello", content="Hello", success=True)
    logs.record_sms(receiver="+15005550006", content="Hello", status="sent")
    with logs.sending_email(receiver="ann@example.org", content="123456", secrets=["123456"]) as sending:
        sending.sent("250 ok", provider_message_id="1")
    with logs.sending_sms(receiver="+15005550006", content="123456") as sending:
        sending.failed("no such number")
    for signal in (email_sent, sms_sent, sign_in_attempted):
        signal.send(app, success=True)
    return Response(event_id or "")


def tell(error: MelodyLogsError | NotInitialisedError) -> str:
    return str(error)
