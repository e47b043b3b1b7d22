"""Health: it never raises and never hangs, whatever is broken, for every page shows it."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import event

from melody_logs.health import Finding, Health, check, check_health
from melody_logs.state import State, state_of
from melody_logs.storage.progress import GapCount, write_gaps
from tests.conftest import ServedDatabase
from tests.hosts import make_host
from tests.servers.mariadb import MariadbServer, connected
from tests.storage.rows import sign_in, write


def bad(health: Health) -> dict[str, Finding]:
    assert health.well == all(finding.level != "bad" for finding in health.findings)
    return {finding.name: finding for finding in health.findings if finding.level == "bad"}


def check_quickly(state: State) -> Health:
    started = time.monotonic()
    health = check_health(state)
    assert time.monotonic() - started < 8
    return health


def test_folder_that_cannot_be_made_is_a_finding(apps: list[Flask], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    app, _ = make_host(tmp_path=tmp_path, MELODY_LOGS_DATABASE_URI=f"sqlite:///{tmp_path}/file/logs.db")
    apps.append(app)
    assert "file/logs.db" in bad(check_quickly(state_of(app)))["Database"].text


def test_driver_that_is_not_installed_is_a_finding(apps: list[Flask], tmp_path: Path) -> None:
    app, _ = make_host(tmp_path=tmp_path, MELODY_LOGS_DATABASE_URI="postgresql+psycopg2cffi://ann@localhost/shop")
    apps.append(app)
    assert "psycopg2cffi" in bad(check_quickly(state_of(app)))["Database"].text


def test_server_that_cannot_hold_the_logs_is_a_finding_with_the_remedy(
    apps: list[Flask], mariadb_url: str, mariadb_server: MariadbServer, tmp_path: Path
) -> None:
    app, _ = make_host(tmp_path=tmp_path, MELODY_LOGS_DATABASE_URI=mariadb_url)
    apps.append(app)
    with connected(mariadb_server.url()) as cursor:
        cursor.execute("SET GLOBAL max_allowed_packet = 1024")
        try:
            assert "max_allowed_packet = 1024, which is too small" in bad(check_quickly(state_of(app)))["Database"].text
        finally:
            cursor.execute("SET GLOBAL max_allowed_packet = DEFAULT")


def test_frozen_database_is_a_finding_within_seconds(
    apps: list[Flask], served_database: ServedDatabase, tmp_path: Path
) -> None:
    app, _ = make_host(served_database.url, tmp_path=tmp_path)
    apps.append(app)
    assert bad(check_health(state_of(app))) == {}
    served_database.server.pause()
    try:
        assert "does not answer" in bad(check_quickly(state_of(app)))["Database"].text
    finally:
        served_database.server.resume()
    assert bad(check_quickly(state_of(app))) == {}


def test_database_that_answers_slowly_is_one_finding_and_asked_no_more(
    apps: list[Flask], sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, _ = make_host(sqlite_url, tmp_path=tmp_path)
    apps.append(app)
    assert bad(check_health(state_of(app))) == {}
    monkeypatch.setattr(check, "PATIENCE_SECONDS", 0.3)
    event.listen(state_of(app).database.engine, "before_cursor_execute", lambda *given: time.sleep(0.1))
    health = check_quickly(state_of(app))
    (finding,) = [finding for finding in health.findings if finding.name == "Database"]
    assert finding.text == "answers slowly: not all could be looked at within 0.3 seconds"
    assert not {"Worker", "Beat"} & {finding.name for finding in health.findings}


def test_lost_entries_and_waiting_locations_are_findings(apps: list[Flask], database_url: str, tmp_path: Path) -> None:
    app, _ = make_host(database_url, tmp_path=tmp_path)
    apps.append(app)
    state = state_of(app)
    write(state.database, sign_in(geo_state="pending"), age=timedelta(hours=1))
    with state.database.write() as connection:
        now = state.database.now(connection)
        for lost, age in ((2, 3), (40, 1)):
            moment = now - timedelta(days=age)
            write_gaps(connection, now, str(age), [GapCount("email", lost, moment, moment)])
    findings = {finding.name: finding for finding in check_health(state).findings}
    assert findings["Gap"].text.startswith("42 email entries were lost")
    assert findings["Gap"].since == now - timedelta(days=1)
    assert findings["Locations"].level == "warning"
    assert findings["Locations"].since is not None and findings["Locations"].since < now - timedelta(minutes=59)
