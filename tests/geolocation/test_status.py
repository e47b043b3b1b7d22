"""``geoip status``: what answers today, how old it is and what it knows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine
from flask import Flask

from melody_logs.state import state_of
from tests.geolocation.conftest import WriteDatabase
from tests.hosts import close_host, make_host
from tests.storage.rows import sign_in, write


def status(app: Flask) -> tuple[int, dict[str, Any], str]:
    """Return the exit code, the JSON and the table."""
    runner = app.test_cli_runner()
    read = runner.invoke(args=["melody-logs", "geoip", "status", "--json"])
    return read.exit_code, json.loads(read.output), runner.invoke(args=["melody-logs", "geoip", "status"]).output


def test_bundled_table_is_called_approximate(sqlite_url: str, tmp_path: Path) -> None:
    app, _ = make_host(sqlite_url, tmp_path=tmp_path)
    write(state_of(app).database, sign_in(), sign_in())
    code, found, shown = status(app)
    (file,) = found["files"]
    assert (code, found["waiting_sign_ins"]) == (0, 2)
    assert (file["is_approximate"], file["kind"], file["layout"]) == (True, "country", "nested")
    assert file["fields"] == ["country", "continent"] and file["nodes"] > 1000 and "NRO" in file["licence"]
    assert "comes with melody_logs; approximate" in shown and "wait for their location: 2." in shown
    close_host(app)


def test_each_file_is_described_and_a_broken_one_is_named(
    sqlite_url: str, tmp_path: Path, write_database: WriteDatabase
) -> None:
    city = {"country": {"iso_code": "US"}, "location": {"latitude": 1.0, "longitude": 2.0, "time_zone": "Europe/Paris"}}
    with time_machine.travel(datetime.now(UTC) - timedelta(days=40), tick=True):
        nested = write_database("GeoLite2-City", {"8.0.0.0/8": city})
    flat = write_database("asn ipv4", {"8.0.0.0/8": {"country_code": "US", "asn": 15169}}, "flat.mmdb", ip_version=4)
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(b"x")
    files = [str(path) for path in (nested, flat, broken)]
    app, _ = make_host(sqlite_url, tmp_path=tmp_path, MELODY_LOGS_GEOIP_DATABASE=files)
    code, found, shown = status(app)
    first, second, third = found["files"]
    assert code == 1
    assert (first["type"], first["age_days"], first["layout"], first["state"]) == ("GeoLite2-City", 40, "nested", "ok")
    assert first["bytes"] == nested.stat().st_size and "30 days" in first["licence"]
    assert set(first["fields"]) == {"country", "continent", "latitude", "longitude", "timezone"}
    assert (second["layout"], second["ip_version"], second["kind"]) == ("flat", 4, "asn")
    assert third["state"] == "unavailable" and "no complete MMDB file" in third["error"] and third["bytes"] is None
    assert "✗ unreadable" in shown and "is no complete MMDB file" in " ".join(shown.split())
    assert "country, coordinates, time zone (nested layout)" in shown
    close_host(app)


def test_files_are_told_while_the_database_has_no_tables(sqlite_url: str, tmp_path: Path) -> None:
    app, _ = make_host(None, tmp_path=tmp_path, MELODY_LOGS_DATABASE_URI=sqlite_url)
    code, found, shown = status(app)
    assert (code, found["waiting_sign_ins"], found["files"][0]["state"]) == (0, None, "ok")
    assert "flask melody-logs health says why" in shown
    close_host(app)
