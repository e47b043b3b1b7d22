"""``geoip update`` against a real server: what is fit takes the place of the file, anything else changes nothing."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from click.testing import Result
from flask import Flask

from melody_logs.geolocation.locate import Locator
from tests.conftest import StartProcess
from tests.geolocation.conftest import WriteDatabase
from tests.geolocation.provider import (
    ACCOUNT,
    KEY,
    Answer,
    Provider,
    pack,
    pack_as_maxmind,
    pack_with_headers,
    providing,
    zeros,
)
from tests.hosts import close_host, make_host
from tests.servers.processes import free_port

FILE = "/files/GeoLite2-City.mmdb"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of the tests are on this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as provider:
        yield provider


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """The path of the file that the host is told of; there is none yet."""
    folder = tmp_path / "geo"
    folder.mkdir()
    return folder / "GeoLite2-City.mmdb"


@pytest.fixture
def app(sqlite_url: str, tmp_path: Path, live: Path) -> Iterator[Flask]:
    app, _ = make_host(
        sqlite_url,
        tmp_path=tmp_path,
        MELODY_LOGS_GEOIP_DATABASE=[str(live)],
        MELODY_LOGS_MAXMIND_ACCOUNT_ID=ACCOUNT,
        MELODY_LOGS_MAXMIND_LICENSE_KEY=KEY,
    )
    yield app
    close_host(app)


def update(app: Flask, *options: str) -> Result:
    """Run the command; whatever it says, it never says the key, and leaves no part of a file behind."""
    result = app.test_cli_runner().invoke(args=["melody-logs", "geoip", "update", *options])
    assert KEY not in result.output and "Traceback" not in result.output, result.output
    return result


def make_city(write_database: WriteDatabase, country: str = "US", kind: str = "GeoLite2-City", **record: Any) -> bytes:
    """Write a small file that knows 8.0.0.0/8."""
    content = {"country": {"iso_code": country}, "city": {"names": {"en": f"Town of {country}"}}, **record}
    return write_database(kind, {"8.0.0.0/8": content}, f"made-{country}.mmdb").read_bytes()


def make_aged(write_database: WriteDatabase, days: float, country: str = "US") -> bytes:
    """Write a small file that was built so many days ago; a negative number is in the future."""
    with time_machine.travel(datetime.now(UTC) - timedelta(days=days), tick=True):
        return make_city(write_database, country)


def files_beside(live: Path) -> set[str]:
    return {path.name for path in live.parent.iterdir()}


def country_of(path: Path) -> str | None:
    location = Locator([path]).locate("8.8.8.8").location
    return location.country if location else None


def test_maxmind_file_is_downloaded_with_the_credentials_and_checked(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase
) -> None:
    with providing("localhost") as storage:
        archive = pack_as_maxmind(make_city(write_database))
        provider.offer_maxmind(archive, storage=storage.url)
        storage.answers = provider.answers
        result = update(app, "--server", provider.url)
        assert result.exit_code == 0, result.output
        assert "GeoLite2-City of" in result.output and "is in place" in result.output
        assert "It knows: country, city." in result.output and "30 days" in result.output
        assert country_of(live) == "US"
        assert [request.authorization for request in provider.requests].count(None) == 0
        assert [(request.path, request.authorization) for request in storage.requests] == [
            ("/storage/GeoLite2-City.tar.gz?signature=signed", None)
        ], "the account and the key stay with the host they are for"
    assert live.stat().st_mode & 0o777 == 0o644
    assert files_beside(live) == {live.name, f"{live.name}.origin.json"}


def test_same_checksum_is_not_downloaded_again(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase
) -> None:
    provider.offer_maxmind(pack_as_maxmind(make_city(write_database)))
    assert update(app, "--server", provider.url).exit_code == 0
    before = live.stat()
    provider.requests.clear()
    result = update(app, "--server", provider.url)
    assert result.exit_code == 0 and "nothing was changed" in result.output
    assert provider.paths() == ["/geoip/databases/GeoLite2-City/download?suffix=tar.gz.sha256"]
    assert (live.stat().st_ino, live.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_file_that_was_changed_by_hand_is_downloaded_again(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase
) -> None:
    """The note beside the file speaks of the file that it was written with, and of no other."""
    provider.offer_maxmind(pack_as_maxmind(make_city(write_database)))
    assert update(app, "--server", provider.url).exit_code == 0
    live.write_bytes(make_aged(write_database, 30, "NL"))
    assert "is in place" in update(app, "--server", provider.url).output
    assert country_of(live) == "US"


@pytest.mark.parametrize("version", [{"ETag": '"5f1"'}, {"Last-Modified": "Tue, 01 Sep 2026 10:00:00 GMT"}])
def test_not_modified_changes_nothing(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase, version: dict[str, str]
) -> None:
    provider.answers[FILE] = Answer(make_city(write_database), headers=version)
    assert "is in place" in update(app, "--url", provider.url + FILE).output
    provider.answers[FILE].body = b"it is not read"
    result = update(app, "--url", provider.url + FILE)
    assert result.exit_code == 0 and "nothing was changed" in result.output


def test_not_modified_is_no_proof_of_a_checksum(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase
) -> None:
    provider.answers[FILE] = Answer(make_city(write_database), headers={"ETag": '"5f1"'})
    assert update(app, "--url", provider.url + FILE).exit_code == 0
    wrong = update(app, "--url", provider.url + FILE, "--sha256", "0" * 64)
    assert wrong.exit_code == 1 and "checksum" in wrong.output


def test_db_ip_of_this_month_or_of_the_one_before(
    sqlite_url: str, tmp_path: Path, provider: Provider, write_database: WriteDatabase
) -> None:
    live = tmp_path / "dbip-country.mmdb"
    app, _ = make_host(sqlite_url, tmp_path=tmp_path, MELODY_LOGS_GEOIP_DATABASE=[str(live)])
    options = ("--provider", "dbip", "--edition", "country-lite", "--server", provider.url)
    today = datetime.now(UTC).date()
    months = [
        f"/free/dbip-country-lite-{day:%Y-%m}.mmdb.gz" for day in (today, today.replace(day=1) - timedelta(days=1))
    ]
    older = make_city(write_database, "NL", "DBIP-Country-Lite")
    provider.answers[months[1]] = Answer(gzip.compress(older))
    result = update(app, *options)
    assert result.exit_code == 0 and "show a link to db-ip.com" in result.output, result.output
    assert (provider.paths(), country_of(live)) == (months, "NL")
    provider.answers[months[0]] = Answer(gzip.compress(make_city(write_database, "US", "DBIP-Country-Lite")))
    assert update(app, *options).exit_code == 0
    assert country_of(live) == "US"
    missing = update(app, *options, "--month", "2019-01")
    assert missing.exit_code == 1 and "--month" in missing.output
    close_host(app)


@pytest.mark.parametrize("form", ["plain", "gzip", "tar.gz"])
def test_any_address_with_a_checksum(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase, form: str
) -> None:
    database = make_city(write_database)
    packed = {"plain": database, "gzip": gzip.compress(database), "tar.gz": pack({"x.mmdb": database})}[form]
    provider.answers[FILE] = Answer(packed, is_chunked=form == "gzip")
    wrong = update(app, "--url", provider.url + FILE, "--sha256", "0" * 64)
    assert wrong.exit_code == 1 and "checksum" in wrong.output and not live.exists()
    for content in (packed, database):
        right = hashlib.sha256(content).hexdigest().upper()
        assert update(app, "--url", provider.url + FILE, "--sha256", right).exit_code == 0
    assert country_of(live) == "US"


def test_name_and_password_in_an_address_are_sent_and_not_shown(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase
) -> None:
    provider.answers["/private"] = Answer(make_city(write_database), needs_credentials=True)
    address = provider.url.replace("http://", f"http://{ACCOUNT}:{KEY}@")
    assert update(app, "--url", f"{address}/private").exit_code == 0
    assert country_of(live) == "US"
    assert KEY not in (live.parent / f"{live.name}.origin.json").read_text()
    refused = update(app, "--url", f"{address}/none?token={KEY}")
    assert refused.exit_code == 1 and f'("{provider.url}/none")' in refused.output


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "MELODY_LOGS_MAXMIND_LICENSE_KEY"),
        (403, "subscriptions"),
        (404, "no such edition"),
        (429, "once a day at most (in 3600 s)"),
        (500, "try again later"),
        (418, "check the address"),
    ],
)
def test_refusal_of_the_provider_names_the_remedy(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase, status: int, said: str
) -> None:
    live.write_bytes(make_city(write_database, "NL"))
    headers = {"Retry-After": "3600"} if status == 429 else {}
    for suffix in ("", ".sha256"):
        path = f"/geoip/databases/GeoLite2-City/download?suffix=tar.gz{suffix}"
        provider.answers[path] = Answer(KEY.encode(), status, headers)
    result = update(app, "--server", provider.url)
    assert (result.exit_code, f"MaxMind answered {status}" in result.output, said in result.output) == (1, True, True)
    assert country_of(live) == "NL" and files_beside(live) == {live.name}


def test_wrong_key_is_refused_by_the_provider_and_said_kindly(
    sqlite_url: str, tmp_path: Path, live: Path, provider: Provider, write_database: WriteDatabase
) -> None:
    provider.offer_maxmind(pack_as_maxmind(make_city(write_database)))
    app, _ = make_host(
        sqlite_url,
        tmp_path=tmp_path,
        MELODY_LOGS_GEOIP_DATABASE=[str(live)],
        MELODY_LOGS_MAXMIND_ACCOUNT_ID=ACCOUNT,
        MELODY_LOGS_MAXMIND_LICENSE_KEY="another key",
    )
    result = update(app, "--server", provider.url)
    assert result.exit_code == 1 and "a new key takes five minutes" in result.output
    assert "another key" not in result.output
    close_host(app)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(b"x" * 5000, cut_bytes=100), "broke off"),
        (Answer(b"x" * 5000, cut_bytes=100, is_chunked=True), "broke off"),
        (Answer(b"x" * 5000, hangs=True), "does not answer in time"),
        (Answer(b"<html>Sign in</html>"), "no complete MMDB file"),
        (Answer(b""), "no complete MMDB file"),
        (Answer(gzip.compress(b"x" * 5000)[:-9]), "damaged or was cut short"),
        (Answer(pack({"readme.txt": b"x"})), "holds no MMDB file"),
        (Answer(pack({"x.mmdb": b"short"})), "no complete MMDB file"),
        (Answer(pack({"readme.txt": b"x"}, links={"city.mmdb": "/etc/passwd"})), "holds no MMDB file"),
        (Answer(b"x" * 3_000_000), "more than 2 MB"),
        (Answer(b"x" * 3_000_000, is_chunked=True), "more than 2 MB"),
        (Answer(zeros(30_000_000)), "unpacks to more than 2 MB"),
        (Answer(pack({"x.mmdb": bytes(3_000_000)})), "unpacks to more than 2 MB"),
        (Answer(pack({"readme.txt": bytes(20_000_000), "x.mmdb": b""})), "far larger"),
        (Answer(status=302, headers={"Location": "ftp://127.0.0.1/x.mmdb"}), "not accepted"),
        (Answer(status=302, headers={"Location": "file:///etc/passwd"}), "answered 302"),
        (Answer(status=302, headers={"Location": "http://192.0.2.1/x.mmdb"}), "not accepted"),
        (Answer(status=302, headers={"Location": FILE}), "answered 302"),
        (Answer(status=302, headers={"Location": "https://[::1"}), "leads on to what is no address"),
        (Answer(pack_with_headers({"GNU.sparse.map": "a,b", "GNU.sparse.size": "5"})), "damaged or was cut short"),
        (Answer(pack_with_headers({"comment": "x"}, times=2_000)), "damaged or was cut short"),
    ],
)
def test_answer_that_is_no_location_file_changes_nothing(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase, answer: Answer, said: str
) -> None:
    good = make_city(write_database, "NL")
    live.write_bytes(good)
    provider.answers[FILE] = answer
    result = update(app, "--url", provider.url + FILE, "--max-megabytes", "2", "--timeout", "1")
    assert result.exit_code == 1 and said in result.output, result.output
    assert live.read_bytes() == good and files_beside(live) == {live.name}


@pytest.mark.parametrize(
    "address",
    [
        *("http://192.0.2.1/x.mmdb", "http://maps.example/x.mmdb", "ftp://maps.example/x", "file:///etc/passwd"),
        *(
            "https://",
            "https://[::1/x",
            "https://maps.example:port/x",
            "https://maps.example/a b",
            "maps.example/x",
            "",
        ),
    ],
)
def test_address_without_https_is_refused_before_anything_is_sent(app: Flask, address: str) -> None:
    result = update(app, "--url", address)
    assert result.exit_code == 1 and "accepted: https://HOST/PATH" in result.output


def test_server_that_is_not_there_is_said(app: Flask) -> None:
    result = update(app, "--url", f"http://127.0.0.1:{free_port()}{FILE}")
    assert result.exit_code == 1 and "cannot be reached (ConnectionRefusedError)" in result.output


def test_certificate_that_nobody_knows_is_refused(app: Flask, provider: Provider) -> None:
    result = update(app, "--url", f"{provider.url.replace('http', 'https')}{FILE}", "--timeout", "5")
    assert result.exit_code == 1 and "TLS failed" in result.output


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda write: make_aged(write, -3), "which is to come"),
        (lambda write: make_aged(write, 40), "is older than the one in place"),
        (lambda write: make_city(write, kind="GeoLite2-Country"), 'is of the type "GeoLite2-Country"'),
        (lambda write: make_city(write, kind="GeoIP2-Anonymous-IP"), "holds no locations"),
        (
            lambda write: write("Mine-City", {"8.0.0.0/8": {"colour": "red"}}).read_bytes(),
            "built like no location file",
        ),
    ],
)
def test_file_that_is_not_fit_for_the_place_is_refused(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase, spoil: Any, said: str
) -> None:
    live.write_bytes(make_aged(write_database, 10, "NL"))
    provider.answers[FILE] = Answer(spoil(write_database))
    result = update(app, "--url", provider.url + FILE)
    assert result.exit_code == 1 and said in result.output, result.output
    assert country_of(live) == "NL"


def test_length_that_is_no_number_is_none(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase
) -> None:
    city = make_city(write_database, "NL")
    for length in ("\u00b2", "9" * 5_000):
        provider.answers[FILE] = Answer(city, headers={"Content-Length": length}, ends=True)
        assert update(app, "--url", provider.url + FILE).exit_code == 0
        assert live.read_bytes() == city
        live.unlink()


def test_force_goes_back_to_an_older_file(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase
) -> None:
    live.write_bytes(make_city(write_database, "NL"))
    live.chmod(0o640)
    provider.answers[FILE] = Answer(make_aged(write_database, 40, "US"))
    assert update(app, "--url", provider.url + FILE, "--force").exit_code == 0
    assert (country_of(live), live.stat().st_mode & 0o777) == ("US", 0o640)


def test_broken_file_in_place_is_replaced(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase
) -> None:
    live.write_bytes(b"broken")
    provider.answers[FILE] = Answer(make_city(write_database))
    assert update(app, "--url", provider.url + FILE).exit_code == 0
    assert country_of(live) == "US"


def test_link_leads_to_the_new_file(app: Flask, provider: Provider, live: Path, write_database: WriteDatabase) -> None:
    real = live.parent / "real.mmdb"
    real.write_bytes(make_city(write_database, "NL"))
    live.symlink_to(real)
    provider.answers[FILE] = Answer(make_city(write_database))
    assert update(app, "--url", provider.url + FILE).exit_code == 0
    assert live.is_symlink() and country_of(real) == "US"


def test_readers_never_see_half_a_file(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase
) -> None:
    """One locator asks all the time while the file is replaced again and again; each answer is one of the two."""
    versions = [make_city(write_database, country) for country in ("US", "NL")]
    live.write_bytes(versions[0])
    locator = Locator([live], check_interval_seconds=0)
    seen: set[str | None] = set()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            location = locator.locate("8.8.8.8").location
            seen.add(location.country if location else None)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for number in range(1, 11):
            provider.answers[FILE] = Answer(versions[number % 2])
            assert update(app, "--url", provider.url + FILE, "--force").exit_code == 0
    finally:
        done.set()
        thread.join()
    assert seen == {"US", "NL"}


def test_parts_of_killed_updates_go_after_an_hour(
    app: Flask, provider: Provider, live: Path, write_database: WriteDatabase
) -> None:
    old, fresh = (live.parent / f".{live.name}.{name}.part" for name in ("old", "fresh"))
    for part in (old, fresh):
        part.write_bytes(b"x")
    os.utime(old, (0, 0))
    provider.answers[FILE] = Answer(make_city(write_database))
    assert update(app, "--url", provider.url + FILE).exit_code == 0
    assert not old.exists() and fresh.exists()


def test_kill_9_in_the_middle_leaves_the_old_file(
    sqlite_url: str,
    tmp_path: Path,
    provider: Provider,
    live: Path,
    write_database: WriteDatabase,
    start_process: StartProcess,
) -> None:
    good = make_aged(write_database, 10, "NL")
    live.write_bytes(good)
    provider.answers[FILE] = Answer(make_city(write_database), hangs=True)
    command = [
        sys.executable,
        "-m",
        "flask",
        "--app",
        "tests.worker.host_app:create_app",
        "melody-logs",
        "geoip",
        "update",
    ]
    environment = {
        "TEST_HOST_FOLDER": str(tmp_path),
        "TEST_HOST_DATABASE_URL": sqlite_url,
        "TEST_HOST_LOCATION_FILE": str(live),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    process = start_process([*command, "--url", provider.url + FILE], environment=environment)
    process.wait_until(lambda: len(files_beside(live)) == 3 and provider.requests, what="the download")
    process.send(signal.SIGKILL)
    process.wait()
    assert live.read_bytes() == good and country_of(live) == "NL"


@pytest.mark.parametrize(
    ("configured", "options", "said"),
    [
        ([], [], "no location file is configured"),
        (["a-City.mmdb", "b-City.mmdb"], [], "more than one file"),
        (["x-ASN.mmdb"], [], "no file of that kind (x-ASN.mmdb)"),
        (["a-City.mmdb", "b-ASN.mmdb"], ["--url", "http://127.0.0.1:1/x"], "more than one file"),
        (["x-City.mmdb"], ["--provider", "dbip", "--edition", "best"], 'no free edition "best"'),
        (["x-City.mmdb"], ["--provider", "dbip", "--month", "2026-13"], "accepted: YYYY-MM"),
        (["x-City.mmdb"], ["--url", "http://127.0.0.1:1/x", "--sha256", "abc"], "accepted: 64 hexadecimal digits"),
    ],
)
def test_place_that_is_not_clear_is_asked_for(
    sqlite_url: str, tmp_path: Path, configured: list[str], options: list[str], said: str
) -> None:
    app, _ = make_host(
        sqlite_url,
        tmp_path=tmp_path,
        MELODY_LOGS_GEOIP_DATABASE=[str(tmp_path / name) for name in configured],
        MELODY_LOGS_MAXMIND_ACCOUNT_ID=ACCOUNT,
        MELODY_LOGS_MAXMIND_LICENSE_KEY=KEY,
    )
    result = update(app, *options)
    assert result.exit_code == 1 and said in result.output, result.output
    close_host(app)


def test_without_an_account_the_other_ways_are_named(sqlite_url: str, tmp_path: Path) -> None:
    app, _ = make_host(sqlite_url, tmp_path=tmp_path)
    result = update(app)
    assert result.exit_code == 1 and "--provider dbip" in result.output
    close_host(app)


def test_output_is_written_elsewhere_and_what_cannot_be_written_is_said(
    app: Flask, provider: Provider, tmp_path: Path, write_database: WriteDatabase
) -> None:
    provider.answers[FILE] = Answer(make_city(write_database))
    result = update(app, "--url", provider.url + FILE, "--output", str(tmp_path / "other.mmdb"))
    assert result.exit_code == 0 and "No worker reads it yet" in result.output
    assert country_of(tmp_path / "other.mmdb") == "US"
    refused = update(app, "--url", provider.url + FILE, "--output", str(tmp_path / "missing" / "other.mmdb"))
    assert refused.exit_code == 1 and "make its folder" in refused.output
