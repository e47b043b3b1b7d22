"""The commands an operator types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from melody_logs.geolocation.locate import Locator
from melody_logs.state import state_of
from melody_logs.storage.progress import note_heartbeat
from melody_logs.storage.schema import head_revision
from tests.geolocation.conftest import WriteDatabase
from tests.geolocation.conftest import write_database as write_database
from tests.hosts import close_host, make_host
from tests.storage.rows import message, read_all, sign_in, write


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    app, _ = make_host(database_url, tmp_path=tmp_path)
    yield app
    close_host(app)


def run(app: Flask, *arguments: str, answer: str | None = None) -> Result:
    return app.test_cli_runner().invoke(args=["melody-logs", *arguments], input=answer)


def test_upgrade_creates_the_tables_and_says_where(sqlite_url: str, tmp_path: Path) -> None:
    app, _ = make_host(None, tmp_path=tmp_path, MELODY_LOGS_DATABASE_URI=sqlite_url)
    assert run(app, "db", "current").exit_code == 1
    first = run(app, "db", "upgrade")
    assert first.exit_code == 0 and f"from nothing to {head_revision()}" in first.output
    assert "already" in run(app, "db", "upgrade").output
    assert run(app, "db", "current").exit_code == 0
    assert run(app, "db", "downgrade", "base", answer="n\n").exit_code == 1
    assert run(app, "db", "downgrade", "base", "--yes").exit_code == 0
    assert run(app, "db", "current").exit_code == 1
    close_host(app)


def test_dry_run_counts_and_deletes_nothing(app: Flask) -> None:
    write(state_of(app).database, sign_in(), sign_in(), age=timedelta(days=31))
    result = run(app, "clean", "sign-in", "--older-than", "30d", "--dry-run")
    assert result.exit_code == 0
    assert "Sign-ins: 2 rows" in result.output and "Nothing was deleted" in result.output
    assert len(read_all(state_of(app).database, "sign-in")) == 2


def test_clean_asks_then_deletes_and_gives_a_receipt(app: Flask) -> None:
    database = state_of(app).database
    write(database, message(), message(), age=timedelta(hours=50))
    write(database, message())
    assert run(app, "clean", "email", "--older-than", "48h", answer="n\n").exit_code == 1
    assert len(read_all(database, "email")) == 3
    result = run(app, "clean", "email", "--older-than", "48h", answer="y\n")
    assert result.exit_code == 0 and "Deleted 2 rows" in result.output
    assert len(read_all(database, "email")) == 1


@pytest.mark.parametrize("age", ["0d", "-3d", "30", "30w", "d", "1.5d", "999999d"])
def test_age_that_is_none_is_refused(app: Flask, age: str) -> None:
    result = run(app, "clean", "email", f"--older-than={age}", "--yes")
    assert result.exit_code == 2
    assert "30d or 12h" in result.output


def test_drain_writes_what_a_process_left_in_the_spool(database_url: str, tmp_path: Path) -> None:
    app, logs = make_host(
        database_url, tmp_path=tmp_path, MELODY_LOGS_WRITER="spool", MELODY_LOGS_DRAIN_IN_PROCESS=False
    )
    with app.app_context():
        logs.record_sms(receiver="+16471231111", success=True)
    assert read_all(state_of(app).database, "sms") == []
    assert "Drained 1 entries" in run(app, "drain").output
    assert len(read_all(state_of(app).database, "sms")) == 1
    close_host(app)


def test_locate_fills_in_the_country(app: Flask) -> None:
    write(state_of(app).database, sign_in(ip="8.8.8.8"), sign_in(ip="10.0.0.1"))
    assert "Located 2 sign-ins" in run(app, "locate").output
    rows = read_all(state_of(app).database, "sign-in")
    assert [(row.country, row.geo_state) for row in rows] == [("US", "done"), (None, "not_applicable")]


def test_health_is_well_and_its_exit_code_says_so(app: Flask) -> None:
    database = state_of(app).database
    with database.write() as connection:
        for name in ("worker", "beat"):
            note_heartbeat(connection, name, database.now(connection), None)
    result = run(app, "health", "--json")
    report = json.loads(result.output)
    assert (result.exit_code, report["well"]) == (0, True)
    assert {finding["level"] for finding in report["findings"]} == {"good"}
    assert run(app, "health").exit_code == 0


def test_health_names_a_watched_view_that_is_not_there(sqlite_url: str, tmp_path: Path) -> None:
    app, logs = make_host(sqlite_url, tmp_path=tmp_path)
    app.add_url_rule("/login", "auth.form", lambda: "form")
    logs.watch_sign_in("auth.login")
    logs.watch_sign_in("auth.form")
    findings = json.loads(run(app, "health", "--json").output)["findings"]
    texts = [finding["text"] for finding in findings if finding["name"] == "Sign-in views"]
    assert ["no such endpoint" in texts[0], "takes no POST" in texts[1]] == [True, True]
    close_host(app)


def test_health_says_what_is_wrong_and_what_helps(sqlite_url: str, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    app, logs = make_host(
        None,
        tmp_path=tmp_path,
        MELODY_LOGS_DATABASE_URI=sqlite_url,
        MELODY_LOGS_SPOOL_DIR=str(blocked),
        MELODY_LOGS_GEOIP_DATABASE=str(tmp_path / "missing.mmdb"),
    )
    with app.app_context():
        assert logs.record_sms(receiver="+16471231111", success=True)
    result = run(app, "health", "--json")
    findings = {finding["name"]: finding for finding in json.loads(result.output)["findings"]}
    assert result.exit_code == 1
    assert findings["Tables"]["remedy"] == 'run "flask melody-logs db upgrade"'
    assert findings["Spool disk"]["remedy"] == 'name a folder itself in "MELODY_LOGS_SPOOL_DIR"'
    assert findings["Spool disk"]["text"].endswith("is a link or no folder; entries wait in memory")
    assert "Spool file" not in findings
    assert "missing.mmdb" in findings["Location data"]["text"]
    close_host(app)


def test_unreachable_database_is_one_sentence(tmp_path: Path) -> None:
    from tests.servers.processes import free_port

    address = f"postgresql+psycopg://user:hunter2@127.0.0.1:{free_port()}/logs"
    app, _ = make_host(None, tmp_path=tmp_path, MELODY_LOGS_DATABASE_URI=address)
    for command in (["clean", "email", "--older-than", "30d"], ["db", "current"], ["locate"]):
        result = run(app, *command)
        assert result.exit_code == 1
        assert "does not answer (" in result.output and 'correct its address in "MELODY_LOGS' in result.output
        assert "Traceback" not in result.output and "hunter2" not in result.output
    report = run(app, "health")
    assert report.exit_code == 1 and "does not answer" in report.output and "hunter2" not in report.output
    close_host(app)


def test_remedy_of_a_path_through_a_file_is_not_cut_from_the_error(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    spool = tmp_path / "file" / "spool"
    app, logs = make_host(
        None, tmp_path=tmp_path, MELODY_LOGS_DATABASE_URI=sqlite_url, MELODY_LOGS_SPOOL_DIR=str(spool)
    )
    assert run(app, "db", "upgrade").exit_code == 0
    with app.app_context():
        assert logs.record_sms(receiver="+16471231111", success=True)
    state_of(app).drain.run_once()
    found = {finding["name"]: finding for finding in json.loads(run(app, "health", "--json").output)["findings"]}
    assert f'the disk refuses the spool in "{spool}" (' in found["Spool disk"]["text"]
    assert found["Spool disk"]["remedy"].startswith("make it writable, with room on its disk")
    assert "Spool file" not in found
    close_host(app)


def test_relocate_sets_back_and_locates_here_when_asked(app: Flask, write_database: WriteDatabase) -> None:
    state = state_of(app)
    write(state.database, sign_in(ip="8.8.8.8"), sign_in(ip="10.0.0.1"))
    assert "Located 2" in run(app, "locate").output
    city = {"country": {"iso_code": "US"}, "city": {"names": {"en": "Reston"}}}
    state.locator = Locator([write_database("GeoLite2-City", {"8.8.8.0/24": city})])
    waits = run(app, "relocate", "--since", "2026-01-01", "--only-approximate")
    assert (
        "Looked through 2 sign-ins; 1 wait for a new look" in waits.output
        and "flask melody-logs locate" in waits.output
    )
    located = run(app, "relocate", "--since", "2026-01-01T12:00:00", "--now")
    assert "; 0 wait" in located.output and "Located 1 sign-ins." in located.output
    assert [row.city for row in read_all(state.database, "sign-in")] == ["Reston", None]
    assert run(app, "relocate", "--since", "tomorrow").exit_code == 2
    assert run(app, "relocate", "--since", "2026-02-01", "--until", "2026-01-01").exit_code == 2
    assert run(app, "relocate", "--since", "2026-02-01", "--source", "x", "--only-approximate").exit_code == 2
