"""Hosts whose mail is recorded, and what their tests look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask

from melody_logs import MelodyLogs
from melody_logs.state import state_of
from tests.hosts import make_host
from tests.servers.smtp import SmtpServer
from tests.storage.rows import read_all

ANN, BOB = "ann@example.org", "bob@example.org"
SENDER = "host@example.org"
CODE = "wT7-Kq4-pass"


def make_mail_host(
    apps: list[Flask], smtp: SmtpServer | None = None, *, logs: MelodyLogs | None = None, **config: Any
) -> tuple[Flask, MelodyLogs]:
    """Make a host whose mail goes to *smtp*; it is closed after the test."""
    server: dict[str, Any] = {} if smtp is None else {"MAIL_SERVER": smtp.host, "MAIL_PORT": smtp.port}
    sending: dict[str, Any] = {"MAIL_SUPPRESS_SEND": False, "MAIL_DEFAULT_SENDER": SENDER}
    app, made = make_host(logs=logs, **(sending | server | config))
    apps.append(app)
    return app, made


def read_mails(app: Flask) -> list[Any]:
    """Read the rows of the email log."""
    return read_all(state_of(app).database, "email")


def read_texts(app: Flask) -> list[Any]:
    """Read the rows of the SMS log."""
    return read_all(state_of(app).database, "sms")


def stored_bytes(app: Flask) -> bytes:
    """Read every file of the app's spool and of its database as it lies on the disk."""
    state = state_of(app)
    folders = {Path(state.spool.directory), Path(state.database.url.database or "").parent}
    return b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())


def make_closed_host(apps: list[Flask], folder: Path, smtp: SmtpServer | None = None, **config: Any) -> Flask:
    """Make a host that fails closed, and whose spool the disk refuses."""
    app, _ = make_mail_host(
        apps,
        smtp,
        database_url=f"sqlite:///{folder / 'logs.db'}",
        tmp_path=folder,
        MELODY_LOGS_ON_FAILURE="fail_closed",
        MELODY_LOGS_WRITER="spool",
        **config,
    )
    spool = state_of(app).spool.directory
    spool.parent.mkdir(parents=True, exist_ok=True)
    spool.write_text("no folder")
    return app
