"""F20: an error inside melody_logs, wherever it may be, changes no answer of the host, and is told."""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from melody_logs import MelodyLogs
from melody_logs.recording.losses import SparseLog
from melody_logs.signals import email_sent, sign_in_attempted, sms_sent
from melody_logs.state import State, state_of
from tests.drills.raising import find_sites, raising_at
from tests.drills.reporting import Drill
from tests.hosts import add_login_view, close_host, make_host

CODE = "918273"
LEAST_PLACES = 30


def make_app(sqlite_url: str, tmp_path: Path, writer: str) -> Flask:
    """A host that uses every way into the logs."""
    app, logs = make_host(sqlite_url, tmp_path=tmp_path, MELODY_LOGS_WRITER=writer)
    add_login_view(app, answer="redirect")
    logs.watch_sign_in("auth.login")
    add_recording_views(app, logs)
    return app


def add_recording_views(app: Flask, logs: MelodyLogs) -> None:
    """Add the views that record by a method, in two phases and by signals."""

    @app.post("/explicit")
    def explicit() -> str:
        logs.record_sign_in(identity="ann@example.org", success=False, reason="wrong_password")
        logs.record_sms(receiver="+4930901820", content=f"Your code is {CODE}", secrets=[CODE])
        return "done"

    @app.post("/mail")
    def mail() -> str:
        link = f"https://example.org/reset?token={CODE}abcdef"
        with logs.sending_email(
            receiver="ann@example.org",
            subject="Welcome",
            content=f"<p>Use <a href='{link}'>this</a></p>",
            secrets=[link],
        ) as message:
            message.sent("250 OK", provider_message_id="m-1")
        return "sent"

    @app.post("/failing-mail")
    def failing_mail() -> tuple[str, int]:
        try:
            with logs.sending_email(receiver="ann@example.org", subject="Welcome"):
                raise ConnectionError("the provider is away")
        except ConnectionError as error:
            return str(error), 503

    @app.post("/signals")
    def signals() -> str:
        sign_in_attempted.send(app, identity="ann@example.org", success=True, user_id=7)
        email_sent.send(app, receiver="ann@example.org", subject="Hello", content="Hello")
        sms_sent.send(app, receiver="+4930901820", content="Hello")
        return "signalled"


REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/login", {"data": {"email": "ann@example.org", "password": "right"}}),
    ("/login", {"data": {"email": "ann@example.org", "password": "wrong"}}),
    ("/explicit", {}),
    ("/mail", {}),
    ("/failing-mail", {}),
    ("/signals", {}),
]


def answer(app: Flask, path: str, options: dict[str, Any]) -> tuple[int, bytes, str | None]:
    """What the host answers; an exception that goes through is an answer of its own."""
    try:
        found = app.test_client().post(path, environ_base={"REMOTE_ADDR": "81.2.69.142"}, **options)
        return found.status_code, found.data, found.location
    except Exception as error:
        return 0, repr(error).encode(), None


def appended(state: State) -> int:
    """How many entries this process has kept so far."""
    return sum(file.last_appended for file in state.spool.own_files())


def say_everything() -> None:
    """Let a warning be logged each time; usually one a minute is, with the number of those in between."""
    for log in gc.get_objects():
        if isinstance(log, SparseLog):
            log._pause_seconds = log._next_at = 0.0


@pytest.mark.fault("F20")
@pytest.mark.parametrize("writer", ["spool", "direct"])
def test_error_of_ours_changes_no_answer_of_the_host(
    drill: Drill, writer: str, sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="melody_logs")
    app = make_app(sqlite_url, tmp_path, writer)
    say_everything()
    state = state_of(app)
    places, changed, silent = 0, [], []
    for path, options in REQUESTS:
        usual = answer(app, path, options)
        before = appended(state)
        assert answer(app, path, options) == usual
        entries = appended(state) - before
        for site in find_sites(lambda: answer(app, path, options)):  # noqa: B023
            before, failures = appended(state), sum(state.recorder.failures.totals().values())
            caplog.clear()
            with raising_at(site) as raised:
                found = answer(app, path, options)
            if not raised:
                continue
            places += 1
            if found != usual:
                changed.append(f"{path}: {site}: {found[1]!r}")
            is_told = sum(state.recorder.failures.totals().values()) > failures or caplog.records
            if not is_told and appended(state) - before < entries:
                silent.append(f"{path}: {site}")
    print(*changed, "silent:", *silent, sep="\n")
    drill.expect(f"{writer}: places", expected=f"≥ {LEAST_PLACES}", measured=places, held=places >= LEAST_PLACES)
    drill.expect(f"{writer}: answers changed", expected=0, measured=len(changed), held=not changed)
    drill.expect(f"{writer}: entries lost without a word", expected=0, measured=len(silent), held=not silent)
    close_host(app)
