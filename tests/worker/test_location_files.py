"""A real worker goes on with a location file that ``geoip update`` put in the place of the old one."""

from __future__ import annotations

from pathlib import Path

import pytest

from melody_logs.storage.models import SignInLog
from tests.geolocation.conftest import WriteDatabase
from tests.geolocation.conftest import write_database as write_database
from tests.geolocation.provider import Answer, providing
from tests.servers.processes import wait_until
from tests.worker.conftest import MakeHost


def test_worker_uses_a_new_file_without_a_restart(
    sqlite_url: str,
    redis_url: str,
    tmp_path: Path,
    make_host: MakeHost,
    write_database: WriteDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = tmp_path / "geo" / "GeoLite2-Country.mmdb"
    live.parent.mkdir()
    live.write_bytes(make_country(write_database, "NL"))
    monkeypatch.setenv("TEST_HOST_LOCATION_FILE", str(live))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    host = make_host(sqlite_url)
    host.environment |= {"TEST_HOST_LOCATION_FILE": str(live), "MELODY_WORKER_BROKER_URL": redis_url}
    worker = host.start("melody_logs.worker", "worker", "--concurrency", "2", name="worker")
    host.start("melody_logs.worker", "beat", name="beat")
    host.add_sign_ins(20)
    worker.wait_until(lambda: host.count(SignInLog.country == "NL") == 20, what="locating by the old file")
    with providing() as provider:
        provider.answers["/new.mmdb"] = Answer(make_country(write_database, "US"))
        command = ["melody-logs", "geoip", "update", "--url", f"{provider.url}/new.mmdb"]
        done = host.app.test_cli_runner().invoke(args=command)
        assert done.exit_code == 0, done.output
    host.add_sign_ins(20)
    wait_until(lambda: host.count(SignInLog.geo_state == "done") == 40, what="locating by the new file")
    assert host.count(SignInLog.country == "US") == 20


def make_country(write_database: WriteDatabase, country: str) -> bytes:
    """Make a file that knows one country for the addresses of the test."""
    record = {"country": {"iso_code": country}}
    return write_database("GeoLite2-Country", {"81.2.69.0/24": record}, f"{country}.mmdb").read_bytes()
