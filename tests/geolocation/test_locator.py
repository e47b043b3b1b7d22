"""The locator over time: lazy, reloading, forked, with files that vanish and break."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import date
from ipaddress import IPv4Address
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melody_logs.errors import GeolocationUnavailableError
from melody_logs.geolocation.countries import CONTINENT_OF
from melody_logs.geolocation.locate import Locator
from melody_logs.geolocation.location import NOT_APPLICABLE
from melody_logs.vocabulary import GEO_STATES

WriteDatabase = Callable[..., Path]


def write_country(write_database: WriteDatabase, country: str, name: str) -> Path:
    """Write a file that knows one country for 8.0.0.0/8."""
    return write_database("GeoLite2-Country", {"8.0.0.0/8": {"country": {"iso_code": country}}}, name)


def country_of(locator: Locator, ip: str = "8.8.8.8") -> str | None:
    location = locator.locate(ip).location
    return location.country if location else None


@pytest.fixture(scope="module")
def bundled() -> Locator:
    return Locator()


@pytest.mark.parametrize(
    ("ip", "country", "continent"),
    [
        ("8.8.8.8", "US", "NA"),
        ("193.0.6.139", "NL", "EU"),
        ("133.1.1.1", "JP", "AS"),
        ("200.160.2.3", "BR", "SA"),
        ("196.25.1.1", "ZA", "AF"),
        ("2001:67c:2e8:22::c100:68b", "NL", "EU"),
        ("2001:4860:4860::8888", "US", "NA"),
        ("::ffff:193.0.6.139", "NL", "EU"),
    ],
)
def test_bundled_table_knows_countries(bundled: Locator, ip: str, country: str, continent: str) -> None:
    lookup = bundled.locate(ip)
    assert lookup.location is not None
    assert (lookup.state, lookup.location.country, lookup.location.continent) == ("done", country, continent)
    assert lookup.source == "bundled country table 2026-06 (approximate)"


@pytest.mark.parametrize(
    "ip",
    [
        *("10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0"),
        *("192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fd00::1", "2001:db8::1", "ff02::1", "4000::1"),
        *(
            "::ffff:10.0.0.1",
            "",
            " ",
            "localhost",
            "8.8.8",
            "8.8.8.8.8",
            "08.8.8.8",
            "8.8.8.8\x00",
            "\ud800",
            "٨.٨.٨.٨",
        ),
    ],
)
def test_address_without_a_place_is_not_applicable(bundled: Locator, ip: str) -> None:
    assert bundled.locate(ip) is NOT_APPLICABLE


def test_no_address_is_not_applicable(bundled: Locator) -> None:
    assert bundled.locate(None) is NOT_APPLICABLE


def test_address_without_a_place_needs_no_file(tmp_path: Path) -> None:
    assert Locator([tmp_path / "missing.mmdb"]).locate("10.0.0.1") is NOT_APPLICABLE


def test_short_cut_for_public_ipv4_agrees_with_the_standard_library(bundled: Locator) -> None:
    """Each /16's ends and random addresses are judged like `ipaddress.is_global` without multicast."""
    numbers = [number for high in range(0, 1 << 16, 7) for number in (high << 16, (high << 16) + 0xFFFF)]
    random = Random(3)
    numbers += [random.getrandbits(32) for _ in range(5000)]
    for address in map(IPv4Address, numbers):
        expected = address.is_global and not address.is_multicast
        assert (bundled.locate(str(address)) is not NOT_APPLICABLE) == expected, address


@given(st.one_of(st.text(), st.ip_addresses().map(str), st.from_regex(r"[0-9a-f:.%\[\]/]{0,40}")))
def test_any_text_gets_an_answer(bundled: Locator, text: str) -> None:
    lookup = bundled.locate(text)
    assert lookup.state in GEO_STATES
    assert (lookup.state == "done") == (lookup.location is not None)
    assert lookup.source is None or len(lookup.source) <= 64
    if lookup.location is not None:
        assert lookup.location.country in CONTINENT_OF


def test_replaced_file_is_used_without_a_restart(write_database: WriteDatabase) -> None:
    path = write_country(write_database, "US", "live.mmdb")
    locator = Locator([path], check_interval_seconds=0.05)
    assert country_of(locator) == "US"

    os.replace(write_country(write_database, "NL", "new.mmdb"), path)

    time.sleep(0.1)
    assert country_of(locator) == "NL"


def test_file_is_not_looked_at_again_before_the_interval_is_over(write_database: WriteDatabase) -> None:
    path = write_country(write_database, "US", "live.mmdb")
    locator = Locator([path], check_interval_seconds=60)
    assert country_of(locator) == "US"
    os.replace(write_country(write_database, "NL", "new.mmdb"), path)
    assert country_of(locator) == "US"


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "missing", "folder"])
def test_last_good_version_answers_while_the_new_file_is_bad(write_database: WriteDatabase, damage: str) -> None:
    path = write_country(write_database, "US", "live.mmdb")
    locator = Locator([path], check_interval_seconds=0)
    assert country_of(locator) == "US"

    bad = path.with_name("bad.mmdb")
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        content = {
            "truncated": write_country(write_database, "NL", "nl").read_bytes()[:-40],
            "empty": b"",
            "text": b"x" * 999,
        }
        bad.write_bytes(content[damage])
        os.replace(bad, path)

    assert country_of(locator) == "US"
    assert country_of(locator, "8.9.10.11") == "US"
    [info] = locator.describe()
    assert info.state == "kept"
    assert str(path) in (info.error or "")

    if damage == "folder":
        path.rmdir()
    os.replace(write_country(write_database, "NL", "good.mmdb"), path)
    assert country_of(locator) == "NL"
    assert locator.describe()[0].error is None


def test_file_cut_short_in_place_does_not_end_the_process(write_database: WriteDatabase) -> None:
    """A reader that maps a file dies of SIGBUS when somebody truncates that file; ours reads a copy."""
    path = write_database("GeoLite2-Country", {f"8.{n}.0.0/16": {"country": {"iso_code": "US"}} for n in range(250)})
    locator = Locator([path], check_interval_seconds=60)
    assert country_of(locator) == "US"
    with open(path, "r+b") as file:
        file.truncate(0)
    assert {country_of(locator, f"8.{n}.1.1") for n in range(250)} == {"US"}


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "does not exist"), (b"", "no complete MMDB file"), (b"hello" * 100, "no complete MMDB file")],
)
def test_configured_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "GeoLite2-City.mmdb"
    if content is not None:
        path.write_bytes(content)
    locator = Locator([path])

    for _ in range(2):
        with pytest.raises(GeolocationUnavailableError, match=said) as caught:
            locator.locate("8.8.8.8")
    assert f'"{path}"' in str(caught.value)
    assert "MELODY_LOGS_GEOIP_DATABASE" in str(caught.value)


def test_one_missing_file_of_two_keeps_rows_waiting_until_it_appears(write_database: WriteDatabase) -> None:
    city = write_country(write_database, "US", "city.mmdb")
    asn = city.with_name("asn.mmdb")
    locator = Locator([city, asn], check_interval_seconds=0)
    with pytest.raises(GeolocationUnavailableError, match=r"asn\.mmdb"):
        locator.locate("8.8.8.8")

    write_database("GeoLite2-ASN", {"8.0.0.0/8": {"autonomous_system_number": 15169}}, "asn.mmdb")

    location = locator.locate("8.8.8.8").location
    assert location is not None
    assert (location.country, location.asn) == ("US", 15169)


def test_file_of_another_kind_is_refused(write_database: WriteDatabase) -> None:
    path = write_database("GeoIP2-Anonymous-IP", {"8.0.0.0/8": {"is_anonymous": True}})
    with pytest.raises(GeolocationUnavailableError, match="holds no locations"):
        Locator([path]).locate("8.8.8.8")


def test_damaged_record_raises_and_is_shown(write_database: WriteDatabase) -> None:
    records = {"8.0.0.0/8": {"country": {"iso_code": "US"}}, "9.0.0.0/8": {"country": {"iso_code": "NL"}}}
    path = write_database("GeoLite2-Country", records)
    content = path.read_bytes()
    assert content.count(b"\x42NL") == 1
    path.write_bytes(content.replace(b"\x42NL", b"\x42\xff\xff"))  # text that is no UTF-8

    locator = Locator([path])
    assert country_of(locator) == "US"
    with pytest.raises(GeolocationUnavailableError, match="is damaged"):
        locator.locate("9.9.9.9")
    assert str(path) in (locator.describe()[0].error or "")


def test_description_tells_type_date_and_age(write_database: WriteDatabase, tmp_path: Path) -> None:
    good = write_country(write_database, "US", "good.mmdb")
    locator = Locator([good, tmp_path / "missing.mmdb"])

    present, missing = locator.describe()

    assert (present.path, present.type, present.age_days) == (str(good), "GeoLite2-Country", 0)
    assert (present.state, present.error, present.name) == ("ok", None, f"GeoLite2-Country {present.built_on}")
    assert (missing.state, missing.type, missing.name) == ("unavailable", None, "missing.mmdb")
    assert missing.error == f'"{tmp_path / "missing.mmdb"}" does not exist'


def test_description_of_the_bundled_table() -> None:
    [info] = Locator().describe()
    assert (info.type, info.state, info.error) == ("melody_logs-Country", "ok", None)
    assert info.built_on == date(2026, 6, 17)


def test_forked_child_answers_although_a_thread_held_the_lock(write_database: WriteDatabase) -> None:
    path = write_country(write_database, "US", "live.mmdb")
    locators = [Locator([path]), Locator([path], check_interval_seconds=0)]
    assert country_of(locators[1]) == "US"
    held = [locator._lock for locator in locators]
    for lock in held:
        lock.acquire()
    child = os.fork()
    if child == 0:
        os._exit(0 if [country_of(locator) for locator in locators] == ["US", "US"] else 1)
    for lock in held:
        lock.release()

    assert wait_for_exit(child, seconds=20) == 0


def wait_for_exit(child: int, seconds: float) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("the child hung")


def test_threads_get_answers_while_files_are_replaced(write_database: WriteDatabase) -> None:
    path = write_country(write_database, "US", "live.mmdb")
    spare = [write_country(write_database, country, country).read_bytes() for country in ("NL", "US")]
    locator = Locator([path], check_interval_seconds=0)
    seen: list[Sequence[str | None]] = []
    done = threading.Event()

    def ask() -> None:
        answers = []
        while not done.is_set():
            answers.append(country_of(locator))
            time.sleep(0.0005)
        seen.append(answers)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(30):
        path.with_name("next").write_bytes(spare[number % 2])
        os.replace(path.with_name("next"), path)
        time.sleep(0.005)
    done.set()
    for thread in threads:
        thread.join()

    assert len(seen) == 4
    assert {answer for answers in seen for answer in answers} == {"US", "NL"}
