"""A host whose views end in every way a view can end, each after a sign-in or in the middle of a mail."""

from __future__ import annotations

import os
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, abort, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped, mapped_column

from melody_logs import MelodyLogs, signals

db = SQLAlchemy()
logs = MelodyLogs()
logs.watch_sign_in("watched", identity=lambda: request.args["name"])


class Account(db.Model):  # type: ignore[name-defined]
    """The host's own table."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


def create_app() -> Flask:
    """Make the host; its folder and database are those that the environment names."""
    app = Flask("ending", instance_path=os.environ["TEST_HOST_FOLDER"])
    app.config.update(
        SECRET_KEY="test",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{Path(os.environ['TEST_HOST_FOLDER'], 'host.db')}",
        MELODY_LOGS_DATABASE_URI=os.environ["TEST_HOST_DATABASE_URL"],
        MELODY_LOGS_ENABLE_SIGN_IN_LOG=True,
        MELODY_LOGS_ENABLE_EMAIL_LOG=True,
    )
    db.init_app(app)
    logs.init_app(app, db)
    with app.app_context():
        db.create_all()
    app.add_url_rule("/ready", "ready", lambda: "ready")
    app.add_url_rule("/explicit/<ending>", "explicit", record, methods=["POST"])
    app.add_url_rule("/signal/<ending>", "signal", send_signal, methods=["POST"])
    app.add_url_rule("/watched/<ending>", "watched", end, methods=["POST"])
    app.add_url_rule("/accounts", "accounts", count_accounts)
    app.add_url_rule("/mail/<ending>", "mail", send_mail, methods=["POST"])
    return app


def record(ending: str) -> str | Iterator[str]:
    """Record the attempt by name, then end."""
    logs.record_sign_in(identity=request.args["name"], success=False)
    return end(ending)


def send_signal(ending: str) -> str | Iterator[str]:
    """Send the signal of an attempt, then end."""
    from flask import current_app

    app = current_app._get_current_object()  # type: ignore[attr-defined]
    signals.sign_in_attempted.send(app, identity=request.args["name"], success=False)
    return end(ending)


def end(ending: str) -> str | Iterator[str]:
    """End as told; a request that hangs is killed by the server."""
    db.session.add(Account(name=request.args["name"]))
    db.session.flush()
    if ending == "rollback":
        db.session.rollback()
    if ending == "raise":
        raise RuntimeError("the host's own fault")
    if ending == "abort":
        abort(401)
    if ending == "hang":
        time.sleep(600)
    if ending == "stream":
        return (f"{number}\n" for number in range(10))
    return "no"


def count_accounts() -> str:
    """Count what the host has committed."""
    return str(db.session.query(Account).count())


def send_mail(ending: str) -> str:
    """Send a mail through a provider that refuses, is silent, or sees the host die."""
    port = int(request.args["port"])
    with logs.sending_email(receiver=f"{ending}@example.org", subject="Hi", content="Hello"):
        if ending == "die":
            os._exit(9)
        with smtplib.SMTP("127.0.0.1", port, timeout=0.5) as provider:
            provider.sendmail("host@example.org", [f"{ending}@example.org"], "Subject: Hi\n\nHello")
    return "sent"
