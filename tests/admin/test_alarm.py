"""The line at the top of every page while something is bad: cheap, and only for those who may read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from melody_logs.admin.times import exact
from melody_logs.health import recent as recent_module
from melody_logs.state import state_of
from melody_logs.storage.progress import GapCount, note_heartbeat, write_gaps
from tests.admin.conftest import PREFIX, MakeApp

WORDS = "Something needs you:</b>"


def silence_worker(app: Flask) -> None:
    database = state_of(app).database
    with database.write() as connection:
        note_heartbeat(connection, "worker", database.now(connection) - timedelta(minutes=6))


def test_every_page_says_what_is_bad_and_leads_to_what_helps(make_app: MakeApp) -> None:
    app = make_app()
    silence_worker(app)
    client = app.test_client()
    for path in ("/sign-in", "/email/4", "/sms/clean", "/retention", "/email/999"):
        text = client.get(PREFIX + path).text
        assert f'{WORDS} Worker. <a href="{PREFIX}/health">' in text, path
    for path in ("/", "/health"):
        text = client.get(PREFIX + path).text
        assert WORDS not in text and "Worker" in text


def test_nothing_is_said_while_all_is_well_or_to_whom_may_not_read(make_app: MakeApp) -> None:
    well = make_app()
    assert WORDS not in well.test_client().get(f"{PREFIX}/sign-in").text
    closed = make_app(access=None)
    silence_worker(closed)
    assert WORDS not in closed.test_client().get(f"{PREFIX}/sign-in").text


def test_pages_look_at_most_once_in_ten_seconds(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    client = app.test_client()
    assert WORDS not in client.get(f"{PREFIX}/sign-in").text
    silence_worker(app)
    assert WORDS not in client.get(f"{PREFIX}/sign-in").text
    monkeypatch.setattr(recent_module, "RECENT_SECONDS", 0.0)
    assert WORDS in client.get(f"{PREFIX}/sign-in").text


def test_page_that_says_that_the_database_is_away_does_not_look_again(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(migrated=False)
    answer = app.test_client().get(f"{PREFIX}/sign-in")
    assert answer.status_code == 503
    assert state_of(app).seen_health is None


def test_gaps_stand_on_the_health_page_with_their_moments(make_app: MakeApp) -> None:
    app = make_app()
    database = state_of(app).database
    assert "Gaps" not in app.test_client().get(f"{PREFIX}/health").text
    with database.write() as connection:
        now = database.now(connection)
        write_gaps(connection, now, "1", [GapCount("email", 1234, now - timedelta(hours=2), now - timedelta(hours=1))])
    text = app.test_client().get(f"{PREFIX}/health").text
    assert "1,234" in text
    for hours in (2, 1):
        assert f">{exact(now - timedelta(hours=hours))}</time>" in text
