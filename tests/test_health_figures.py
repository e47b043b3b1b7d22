"""The figures of the health: the same numbers for the command, the pages, the probe and Prometheus."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from melody_logs import MelodyLogs
from melody_logs.health import check_health
from melody_logs.health.database_checks import check_locations
from melody_logs.health.figures import MOST_PENDING_COUNTED
from melody_logs.jobs.clean import enforce_retention
from melody_logs.recording.spool_memory import MEMORY_ENTRIES
from melody_logs.setting_types import RetentionPolicy
from melody_logs.state import state_of
from melody_logs.storage.progress import note_heartbeat
from tests.conftest import ServedDatabase
from tests.hosts import make_host
from tests.servers.processes import wait_until
from tests.storage.rows import sign_in, write


def make(apps: list[Flask], *given: Any, **config: Any) -> tuple[Flask, MelodyLogs]:
    app, logs = make_host(*given, **config)
    apps.append(app)
    return app, logs


def test_figures_of_the_database(apps: list[Flask], database_url: str, tmp_path: Path) -> None:
    app, logs = make(apps, database_url, tmp_path=tmp_path)
    state = state_of(app)
    figures = check_health(state).figures
    assert (figures.rows, figures.lost, figures.gaps, figures.pending_locations) == ({}, {}, (), 0)
    assert (figures.last_drain_at, figures.last_worker_at, figures.last_retention_run_at) == (None,) * 3
    with app.app_context():
        logs.record_email(receiver="ann@example.org", success=True)
    write(state.database, sign_in(geo_state="pending"), sign_in(geo_state="pending"), age=timedelta(hours=1))
    enforce_retention(state.database, (RetentionPolicy("sms", 30),))
    with state.database.write() as connection:
        now = state.database.now(connection)
        note_heartbeat(connection, "beat", now)
    figures = check_health(state).figures
    assert figures.rows == {"email": 1, "sign-in": 2}
    assert (figures.spool_entries, figures.dead_letters, figures.damaged_spools) == (0, {}, 0)
    assert figures.pending_locations == 2
    assert 3590 < (figures.pending_location_age_seconds or 0) < 4000
    assert figures.last_retention_run_at is not None and figures.last_retention_run_state is None
    assert figures.last_beat_at == now
    assert figures.last_drain_at is not None and figures.database_at is not None
    assert timedelta(0) <= figures.database_at - figures.last_drain_at < timedelta(minutes=2)


def test_figures_of_the_spool_when_the_database_is_frozen(
    apps: list[Flask], served_database: ServedDatabase, tmp_path: Path
) -> None:
    app, logs = make(
        apps,
        served_database.url,
        tmp_path=tmp_path,
        MELODY_LOGS_WRITER="spool",
        MELODY_LOGS_DRAIN_IN_PROCESS=False,
        MELODY_LOGS_SPOOL_MAX_MEGABYTES=1,
    )
    served_database.server.pause()
    try:
        with app.app_context():
            for _ in range(3):
                logs.record_sms(content="x" * 50_000)
        figures = check_health(state_of(app)).figures
    finally:
        served_database.server.resume()
    assert figures.spool_entries == 3
    assert figures.spool_bytes is not None and 150_000 < figures.spool_bytes < 400_000
    assert figures.spool_share == pytest.approx(figures.spool_bytes / 1024 / 1024)
    assert figures.spool_oldest_age_seconds is not None and figures.spool_oldest_age_seconds < 60
    unknown = (figures.rows, figures.lost, figures.gaps, figures.pending_locations, figures.database_at)
    assert unknown == (None,) * 5


def test_what_was_lost_is_a_gap_once_writing_works_again(apps: list[Flask], database_url: str, tmp_path: Path) -> None:
    app, _ = make(apps, database_url, tmp_path=tmp_path, MELODY_LOGS_DRAIN_IN_PROCESS=False)
    state = state_of(app)
    state.spool.directory.parent.mkdir(parents=True, exist_ok=True)
    state.spool.directory.write_text("no folder")
    for _ in range(MEMORY_ENTRIES + 7):
        state.spool.append("sms", b"{}")
    health = check_health(state)
    figures = health.figures
    assert (figures.lost, figures.lost_untold) == ({}, {"sms": 7})
    (told,) = [finding.text for finding in health.findings if finding.name == "Gap"]
    assert told.startswith("7 sms entries were lost in this process")
    state.drain.run_once()
    figures = check_health(state).figures
    assert (figures.lost, figures.lost_untold) == ({"sms": 7}, {})
    (gap,) = figures.gaps or ()
    assert (gap.kind, gap.lost) == ("sms", 7)
    assert figures.dead_letters == {"sms": MEMORY_ENTRIES}


def test_error_inside_melody_logs_leaves_a_gap_too(apps: list[Flask], sqlite_url: str, tmp_path: Path) -> None:
    app, logs = make(apps, sqlite_url, tmp_path=tmp_path)

    class Broken(dict[str, Any]):
        def pop(self, *given: Any) -> Any:
            raise RuntimeError("broken")

    logs.transform(lambda kind, fields: Broken(fields))
    with app.app_context():
        assert logs.record_email(receiver="ann@example.org") is None
    state_of(app).drain.run_once()
    figures = check_health(state_of(app)).figures
    assert (figures.lost, figures.recording_errors) == ({"email": 1}, {"email": 1})


def test_error_inside_melody_logs_is_bad_for_an_hour_and_then_a_warning(
    apps: list[Flask], sqlite_url: str, tmp_path: Path
) -> None:
    app, _ = make(apps, sqlite_url, tmp_path=tmp_path)
    failures = state_of(app).recorder.failures
    levels = []
    for minutes_ago in (0, 59, 61):
        failures.count("email")
        failures._last_at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        found = {finding.name: finding for finding in check_health(state_of(app)).findings}["Recording errors"]
        levels.append((found.level, found.text.partition(" lost")[0]))
    assert levels == [("bad", "1 entry was"), ("bad", "2 entries were"), ("warning", "3 entries were")]


def test_command_prints_findings_and_figures(apps: list[Flask], sqlite_url: str, tmp_path: Path) -> None:
    app, logs = make(apps, sqlite_url, tmp_path=tmp_path)
    with app.app_context():
        logs.record_email(receiver="ann@example.org", success=True)
    state_of(app).spool.losses.count("sms")
    state_of(app).drain.run_once()
    printed = json.loads(app.test_cli_runner().invoke(args=["melody-logs", "health", "--json"]).output)
    assert printed["well"] is True
    assert {finding["name"] for finding in printed["findings"]} >= {"Spool", "Tables", "Gap"}
    figures = printed["figures"]
    assert (figures["rows"], figures["lost"], figures["spool_entries"]) == ({"email": 1}, {"sms": 1}, 0)
    assert figures["gaps"][0]["lost"] == 1 and "T" in figures["gaps"][0]["first_at"]
    assert figures["last_beat_at"] is None


@pytest.mark.parametrize("part", ["worker", "beat"])
def test_worker_that_is_silent_for_four_minutes_is_bad_and_the_commands_do_its_work(
    apps: list[Flask], database_url: str, tmp_path: Path, part: str
) -> None:
    app, logs = make(apps, database_url, tmp_path=tmp_path, MELODY_LOGS_DRAIN_IN_PROCESS=False)
    state = state_of(app)

    def note_seen(age: timedelta) -> None:
        with state.database.write() as connection:
            note_heartbeat(connection, part, state.database.now(connection) - age)

    note_seen(timedelta(minutes=3))
    assert check_health(state).well
    note_seen(timedelta(minutes=4, seconds=1))
    health = check_health(state)
    assert [finding.name for finding in health.findings if finding.level == "bad"] == [part.capitalize()]
    app.config["TESTING"] = False
    state.recorder.direct_timeout_seconds = None
    with app.test_request_context(environ_base={"REMOTE_ADDR": "8.8.8.8"}):
        logs.record_sign_in(identity="ann@example.org", success=True)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["melody-logs", "drain"]).exit_code == 0
    assert check_health(state).figures.pending_locations == 1
    assert runner.invoke(args=["melody-logs", "locate"]).exit_code == 0
    wait_until(lambda: check_health(state).figures.pending_locations == 0, what="the location being found")


def test_sign_of_life_that_comes_while_it_is_looked_is_new(apps: list[Flask], sqlite_url: str, tmp_path: Path) -> None:
    app, _ = make(apps, sqlite_url, tmp_path=tmp_path)
    state = state_of(app)
    with state.database.write() as connection:
        note_heartbeat(connection, "worker", state.database.now(connection) + timedelta(minutes=1))
    assert ("Worker", "seen 0 s ago") in [(one.name, one.text) for one in check_health(state).findings]


def test_waiting_locations_are_counted_up_to_a_limit_that_is_told(
    apps: list[Flask], sqlite_url: str, tmp_path: Path
) -> None:
    app, _ = make(apps, sqlite_url, tmp_path=tmp_path)
    figures = check_health(state_of(app)).figures
    many = dataclasses.replace(figures, pending_locations=MOST_PENDING_COUNTED, pending_location_age_seconds=3600.0)
    (finding,) = check_locations(many)
    assert finding.text == "10,000 or more sign-ins wait for their location"
