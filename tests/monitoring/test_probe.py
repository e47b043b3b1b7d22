"""The probe: closed by default, right by its status, bounded, and silent about what nobody asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask

from melody_logs import ConfigurationError, MelodyLogs
from melody_logs.state import state_of
from melody_logs.storage.progress import note_heartbeat
from tests.conftest import ServedDatabase
from tests.hosts import close_host, make_host

TOKEN = "a-token-of-32-characters-4-tests"
PROBE, METRICS = "/admin/logs/health.json", "/admin/logs/metrics"
Serve = Callable[[Flask], str]
MakeHost = Callable[..., tuple[Flask, MelodyLogs]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeHost]:
    apps = []

    def make_one(url: str, token: str | None = TOKEN, **config: Any) -> tuple[Flask, MelodyLogs]:
        app, logs = make_host(url, tmp_path=tmp_path, MELODY_LOGS_HEALTH_TOKEN=token, **config)
        apps.append(app)
        return app, logs

    yield make_one
    for app in apps:
        close_host(app)


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def silence_worker(app: Flask) -> None:
    database = state_of(app).database
    with database.write() as connection:
        note_heartbeat(connection, "worker", database.now(connection) - timedelta(hours=1))


@pytest.mark.parametrize("path", [PROBE, METRICS])
def test_without_a_token_in_the_settings_there_is_nothing(make: MakeHost, sqlite_url: str, path: str) -> None:
    app, _ = make(sqlite_url, token=None)
    for headers in ({}, bearer(), bearer(""), bearer("None")):
        assert app.test_client().get(path, headers=headers).status_code == 404


@pytest.mark.parametrize("path", [PROBE, METRICS])
@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \u00e4\u00f6",
    ],
)
def test_wrong_token_is_refused(make: MakeHost, sqlite_url: str, path: str, authorization: str) -> None:
    app, _ = make(sqlite_url)
    answer = app.test_client().get(path, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "melody_logs_up" not in answer.text and "findings" not in answer.text


def test_probe_answers_whatever_the_pages_say(make: MakeHost, sqlite_url: str, serve: Serve) -> None:
    app, logs = make(sqlite_url)
    with app.app_context():
        logs.record_email(receiver="ann@example.org", content="Hello Ann", success=True)
    base = serve(app)
    assert httpx.get(f"{base}/admin/logs/").status_code == 403
    answer = httpx.get(base + PROBE, headers=bearer())
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    body = answer.json()
    assert (body["well"], body["figures"]["rows"]) == (True, {"email": 1})
    assert set(body["findings"][0]) == {"name", "level", "since"}
    for private in ("ann@example.org", "Hello", TOKEN, str(state_of(app).spool.directory)):
        assert private not in answer.text
    assert "text" in httpx.get(f"{base}{PROBE}?verbose", headers=bearer()).json()["findings"][0]


def test_bad_finding_is_503(make: MakeHost, sqlite_url: str, serve: Serve) -> None:
    app, _ = make(sqlite_url)
    silence_worker(app)
    answer = httpx.get(serve(app) + PROBE, headers=bearer())
    assert answer.status_code == 503
    assert answer.json()["well"] is False
    assert {"Worker"} == {finding["name"] for finding in answer.json()["findings"] if finding["level"] == "bad"}


def test_frozen_database_is_503_within_seconds(make: MakeHost, served_database: ServedDatabase, serve: Serve) -> None:
    app, _ = make(served_database.url)
    base = serve(app)
    assert httpx.get(base + PROBE, headers=bearer(), timeout=30).status_code == 200
    served_database.server.pause()
    try:
        for path, status in ((PROBE, 503), (METRICS, 200)):
            started = time.monotonic()
            answer = httpx.get(base + path, headers=bearer(), timeout=60)
            assert answer.status_code == status
            assert time.monotonic() - started < 30
        assert "melody_logs_up 0.0" in answer.text
    finally:
        served_database.server.resume()


def test_probe_is_on_the_host_of_the_pages(make: MakeHost, sqlite_url: str, tmp_path: Path) -> None:
    app = Flask("host", instance_path=str(tmp_path), host_matching=True, static_host="shop.example")
    app.config.update(
        SECRET_KEY="test",
        MELODY_LOGS_DATABASE_URI=sqlite_url,
        MELODY_LOGS_HOST="admin.example",
        MELODY_LOGS_HEALTH_TOKEN=TOKEN,
    )
    MelodyLogs(app)
    client = app.test_client()
    assert client.get(PROBE, base_url="http://shop.example", headers=bearer()).status_code == 404
    # No tables yet: bad, but there.
    assert client.get(PROBE, base_url="http://admin.example", headers=bearer()).status_code == 503


def test_route_of_the_host_at_the_probe_is_refused(sqlite_url: str) -> None:
    app = Flask("host")
    app.config.update(SECRET_KEY="test", MELODY_LOGS_DATABASE_URI=sqlite_url, MELODY_LOGS_HEALTH_TOKEN=TOKEN)
    app.add_url_rule(PROBE, "own", lambda: "own")
    with pytest.raises(ConfigurationError, match=r"/admin/logs/health\.json"):
        MelodyLogs(app)
