"""The host of the drills: its views answer with the ids that ``record_*`` gave them.

Settings come from the environment as ``FLASK_MELODY_LOGS_…``; its folder is ``TEST_HOST_FOLDER``.
"""

from __future__ import annotations

import os
import time

from flask import Flask, request

from melody_logs import MelodyLogs

PROVIDER_SECONDS = 0.003
logs = MelodyLogs()
logs.watch_sign_in("login")


def create_app() -> Flask:
    """Make the host."""
    app = Flask("drilled", instance_path=os.environ["TEST_HOST_FOLDER"])
    app.config.update(
        SECRET_KEY="test",
        MELODY_LOGS_ENABLE_SIGN_IN_LOG=True,
        MELODY_LOGS_ENABLE_EMAIL_LOG=True,
    )
    app.config.from_prefixed_env()
    logs.init_app(app)
    app.add_url_rule("/alive", "alive", lambda: "yes")
    app.add_url_rule("/attempts", "attempts", record_attempts, methods=["POST"])
    app.add_url_rule("/same", "same", record_same, methods=["POST"])
    app.add_url_rule("/mail", "mail", send_mail, methods=["POST"])
    app.add_url_rule("/login", "login", log_in, methods=["POST"])
    return app


def record_attempts() -> list[str | None]:
    """Record as many attempts as asked for, each under a name of its own; every third one fails."""
    name, count = request.form["name"], int(request.form["count"])
    return [
        logs.record_sign_in(identity=f"{name}-{number}@example.org", success=number % 3 != 0, ip="81.2.69.142")
        for number in range(count)
    ]


def record_same() -> list[str | None]:
    """Record as many failures as asked for under one name, as somebody does who guesses passwords."""
    return [
        logs.record_sign_in(identity=request.form["name"], success=False, ip="81.2.69.142")
        for _ in range(int(request.form["count"]))
    ]


def send_mail() -> list[str | None]:
    """Send a message in two phases, with a provider that takes its time."""
    with logs.sending_email(receiver="ann@example.org", subject=request.form["name"], content="Welcome") as message:
        time.sleep(PROVIDER_SECONDS)
    return [message.event_id]


def log_in() -> dict[str, bool]:
    """Let everybody in; only the watching hook records it, as a success: failures may be counted without their name."""
    return {"welcome": True}
