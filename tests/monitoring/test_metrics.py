"""The metrics: what Prometheus itself would read of them, over HTTP and in a registry of the host."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from melody_logs.monitoring import make_collector
from melody_logs.state import state_of
from melody_logs.storage.progress import note_heartbeat
from tests.docs import page
from tests.monitoring.test_probe import METRICS, TOKEN, MakeHost, Serve, bearer, make

__all__ = ["make"]
Samples = dict[tuple[str, str], float]


def read(text: str) -> Samples:
    """Give the samples by name and the value of their only label."""
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def test_prometheus_reads_the_figures_over_http(make: MakeHost, sqlite_url: str, serve: Serve) -> None:
    app, logs = make(sqlite_url)
    state = state_of(app)
    with app.app_context():
        logs.record_email(receiver="ann@example.org", success=True)
    for _ in range(3):
        state.spool.losses.count("sms")
    state.drain.run_once()
    with state.database.write() as connection:
        note_heartbeat(connection, "beat", state.database.now(connection))
    answer = httpx.get(serve(app) + METRICS, headers=bearer())
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert answer.headers["Cache-Control"] == "no-store"
    samples = read(answer.text)
    assert samples["melody_logs_up", ""] == samples["melody_logs_well", ""] == 1
    rows = [samples["melody_logs_rows", kind] for kind in ("email", "sms", "sign-in")]
    assert rows == [1, 0, 0]
    assert samples["melody_logs_lost_entries_total", "sms"] == 3
    assert samples["melody_logs_lost_entries_total", "email"] == 0
    assert samples["melody_logs_spool_entries", ""] == samples["melody_logs_spool_oldest_age_seconds", ""] == 0
    assert samples["melody_logs_findings", "bad"] == 0 < samples["melody_logs_findings", "good"]
    now = datetime.now(UTC).timestamp()
    assert abs(now - samples["melody_logs_last_beat_timestamp_seconds", ""]) < 120
    assert abs(now - samples["melody_logs_last_drain_timestamp_seconds", ""]) < 120
    assert ("melody_logs_last_worker_timestamp_seconds", "") not in samples


def test_openmetrics_is_spoken_to_who_asks_for_it(make: MakeHost, sqlite_url: str, serve: Serve) -> None:
    app, _ = make(sqlite_url)
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = httpx.get(serve(app) + METRICS, headers=bearer() | accept)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    types = {family.name: family.type for family in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]
    assert types["melody_logs_lost_entries"] == "counter"
    assert {kind for name, kind in types.items() if name != "melody_logs_lost_entries"} == {"gauge"}


def test_registry_of_the_host_asks_nothing_until_it_collects(make: MakeHost, sqlite_url: str) -> None:
    app, _ = make(sqlite_url)
    registry = CollectorRegistry(auto_describe=True)
    registry.register(make_collector(app))
    assert state_of(app).seen_health is None
    assert read(generate_latest(registry).decode())["melody_logs_up", ""] == 1
    with app.app_context():
        other = CollectorRegistry()
        other.register(make_collector())
    assert registry.get_sample_value("melody_logs_up") == other.get_sample_value("melody_logs_up") == 1


def test_database_that_cannot_be_read_leaves_its_figures_out(make: MakeHost, sqlite_url: str, tmp_path: Path) -> None:
    app, _ = make(f"sqlite:///{tmp_path}/logs.db", MELODY_LOGS_WRITER="spool", MELODY_LOGS_DRAIN_IN_PROCESS=False)
    state_of(app).database.close()
    (tmp_path / "logs.db").write_bytes(b"not a database" * 100)
    samples = read(app.test_client().get(METRICS, headers=bearer()).text)
    assert samples["melody_logs_up", ""] == samples["melody_logs_well", ""] == 0
    assert samples["melody_logs_spool_entries", ""] == 0
    assert not [name for name, _ in samples if name.startswith(("melody_logs_rows", "melody_logs_lost"))]


def test_every_metric_is_documented(make: MakeHost, sqlite_url: str) -> None:
    app, _ = make(sqlite_url)
    database = state_of(app).database
    with database.write() as connection:
        for part in ("worker", "beat", "retention"):
            note_heartbeat(connection, part, database.now(connection) - timedelta(seconds=1))
    given = {name for name, _ in read(app.test_client().get(METRICS, headers=bearer()).text)}
    table = page("operations.md").split("| metric | type |")[1].split("\n\n")[0]
    named = set(re.findall(r"`(melody_logs_\w+)", table))
    assert named - given == {"melody_logs_last_drain_timestamp_seconds"}
    assert given - named == set()


def test_without_the_extra_the_metrics_say_what_is_missing(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["prometheus_client"] = None
from flask import Flask
from melody_logs import ConfigurationError, MelodyLogs
from melody_logs.monitoring import make_collector
app = Flask("host", instance_path={str(tmp_path)!r})
app.config.update(SECRET_KEY="k", MELODY_LOGS_DATABASE_URI="sqlite:///{tmp_path}/logs.db")
app.config["MELODY_LOGS_HEALTH_TOKEN"] = {TOKEN!r}
MelodyLogs(app)
answer = app.test_client().get({METRICS!r}, headers={bearer()!r})
print(answer.status_code, answer.text)
try:
    make_collector(app)
except ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.strip().splitlines()
    assert first == '501 The metrics need prometheus-client: install "melody-logs[prometheus]".'
    assert 'install "melody-logs[prometheus]"' in last
