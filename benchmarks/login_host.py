"""A host with a login view as hosts write them, for gunicorn: with its logs on or off, as the environment says."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask, request, session
from werkzeug.security import check_password_hash, generate_password_hash

from melody_logs import MelodyLogs

USERS = 1000
PASSWORD = "correct horse battery staple"


def create_app() -> Flask:
    """Make the host; its environment names the database, its folder, the password hash, and whether logs are ``off``,
    ``on`` by watching the view, or ``called`` in it.
    """
    app = Flask("login", instance_path=os.environ["BENCHMARK_FOLDER"])
    app.config.update(SECRET_KEY="benchmark", MELODY_LOGS_DATABASE_URI=os.environ["BENCHMARK_DATABASE_URL"])
    connect = _connector(os.environ["BENCHMARK_ADDRESS"])
    is_right = check_password_hash if os.environ["BENCHMARK_HASH"] == "scrypt" else _is_right_sha256
    record = _add_logs(app, os.environ["BENCHMARK_LOGS"])

    @app.post("/login")
    def login() -> tuple[dict[str, bool], int]:
        email, connection = request.form["email"], connect()
        found = connection.execute("SELECT id, password FROM account WHERE email = %s", (email,)).fetchone()
        if found is None or not is_right(found[1], request.form["password"]):
            connection.rollback()
            record(identity=email, success=False, account_known=found is not None)
            return {"ok": False}, 401
        connection.execute("UPDATE account SET last_login = now() WHERE id = %s", (found[0],))
        connection.commit()
        session["user_id"] = found[0]
        record(identity=email, success=True, user_id=found[0], method="password")
        return {"ok": True}, 200

    return app


def _add_logs(app: Flask, how: str) -> Callable[..., object]:
    """Give what the view calls: nothing if the logs are ``off``, or ``on`` and the view is watched."""
    if how == "off":
        return _do_nothing
    app.config.update(MELODY_LOGS_ENABLE_SIGN_IN_LOG=True, MELODY_LOGS_ENABLE_EMAIL_LOG=True)
    logs = MelodyLogs(app)
    if how == "called":
        return logs.record_sign_in
    logs.watch_sign_in("login", identity="email")
    return _do_nothing


def _do_nothing(**fields: object) -> None:
    pass


def create_accounts(address: str, algorithm: str) -> None:
    """Make the table of accounts, each with the same password and a hash of *algorithm*."""
    hashed = generate_password_hash(PASSWORD) if algorithm == "scrypt" else hash_sha256(PASSWORD, secrets.token_hex(8))
    with psycopg.connect(address) as connection:
        connection.execute("DROP TABLE IF EXISTS account")
        connection.execute(
            "CREATE TABLE account (id bigint PRIMARY KEY, email text UNIQUE, password text, last_login timestamptz)"
            " WITH (fillfactor = 70)"
        )
        connection.execute(
            "INSERT INTO account SELECT n, 'user' || n || '@example.org', %s FROM generate_series(1, %s) AS n",
            (hashed, USERS),
        )


def hash_sha256(password: str, salt: str) -> str:
    """Hash as nobody should: cheap, so that the cost of everything else shows."""
    return f"{salt}${hashlib.sha256((salt + password).encode()).hexdigest()}"


def _is_right_sha256(stored: str, password: str) -> bool:
    return secrets.compare_digest(stored, hash_sha256(password, stored.partition("$")[0]))


def _connector(address: str) -> Callable[[], psycopg.Connection[Any]]:
    """Give each thread a connection that it keeps."""
    Path(os.environ["BENCHMARK_FOLDER"]).mkdir(exist_ok=True)
    local = threading.local()

    def connect() -> psycopg.Connection[Any]:
        if not hasattr(local, "connection"):
            local.connection = psycopg.connect(address)
        opened: psycopg.Connection[Any] = local.connection
        return opened

    return connect
