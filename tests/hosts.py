"""Small host apps for the tests."""

from __future__ import annotations

from typing import Any

from flask import Flask, flash, redirect, request, session, url_for
from werkzeug.wrappers import Response

from melody_logs import MelodyLogs
from melody_logs.state import State, state_of
from melody_logs.storage.schema import upgrade

ALL_KINDS = {
    "MELODY_LOGS_ENABLE_EMAIL_LOG": True,
    "MELODY_LOGS_ENABLE_SMS_LOG": True,
    "MELODY_LOGS_ENABLE_SIGN_IN_LOG": True,
}


def make_host(
    database_url: str | None = None, *, logs: MelodyLogs | None = None, tmp_path: Any = None, **config: Any
) -> tuple[Flask, MelodyLogs]:
    """Make a host whose logs lie in *database_url*, with its tables; all kinds are enabled unless *config* says so."""
    app = Flask("host", instance_path=str(tmp_path) if tmp_path else None)
    app.config.update({"SECRET_KEY": "test", "TESTING": True, **ALL_KINDS})
    if database_url is None:
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    else:
        app.config["MELODY_LOGS_DATABASE_URI"] = database_url
        # Written when record_* returns, so that a test may look at once.
        app.config["MELODY_LOGS_WRITER"] = "direct"
        app.config["MELODY_LOGS_DIRECT_TIMEOUT_MILLISECONDS"] = 10_000
    app.config.update(config)
    logs = logs or MelodyLogs()
    logs.init_app(app)
    if database_url is not None:
        upgrade(state_of(app).database)
    return app, logs


def close_host(app: Flask) -> State:
    """End the drain thread and the connections of a host."""
    state = state_of(app)
    state.drain_thread.stop(5)
    state.database.close()
    return state


def add_login_view(app: Flask, *, answer: str = "html") -> None:
    """Add a login view as hosts write them; right is the password "right"."""

    @app.get("/")
    def home() -> str:
        return "home"

    @app.route("/login", methods=["GET", "POST"], endpoint="auth.login")
    def login() -> Response | str | tuple[Any, int]:
        if request.method == "GET":
            return "<form>"
        if answer == "json":
            ok = (request.get_json() or {}).get("password") == "right"
            return ({"token": "t"}, 200) if ok else ({"error": "no"}, 401)
        if request.form.get("password") == "crash":
            raise RuntimeError("the host's own fault")
        if request.form.get("password") == "right":
            session["_user_id"] = "7"
            return redirect(url_for("home"))
        if answer == "redirect":
            flash("wrong")
            return redirect(url_for("auth.login"))
        return "<form> wrong"
