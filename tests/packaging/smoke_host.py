"""A small host, copied into a folder of its own: it knows melody_logs by its public names alone."""

from __future__ import annotations

from flask import Flask, request, session
from flask_sqlalchemy import SQLAlchemy

from melody_logs import MelodyLogs

db = SQLAlchemy()
logs = MelodyLogs()
logs.watch_sign_in("login")


@logs.admin_access
def who_may_enter() -> str | None:
    """Let in who has signed in."""
    return "write" if "user_id" in session else None


def create_app() -> Flask:
    """Make the host; its data lies in its instance folder."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="a key for tests",
        SQLALCHEMY_DATABASE_URI="sqlite:///host.db",
        MELODY_LOGS_ENABLE_SIGN_IN_LOG=True,
    )
    app.add_url_rule("/login", "login", login, methods=["POST"])
    db.init_app(app)
    logs.init_app(app, db)
    return app


def login() -> tuple[str, int]:
    """Let in who knows the password."""
    if request.form["password"] != "open sesame":
        return "no", 401
    session["user_id"] = 1
    return "welcome", 200
