"""What each layout of MMDB files says about an address."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from melody_logs.geolocation.locate import Location, Locator
from melody_logs.geolocation.records import read_record

WriteDatabase = Callable[..., Path]

CITY = {
    "city": {"geoname_id": 1, "names": {"de": "Kalifornienstadt", "en": "Mountain View"}},
    "continent": {"code": "NA", "names": {"en": "North America"}},
    "country": {"iso_code": "US", "names": {"en": "United States"}},
    "location": {"latitude": 37.386, "longitude": -122.0838, "time_zone": "America/Los_Angeles"},
    "subdivisions": [
        {"iso_code": "CA", "names": {"en": "California"}},
        {"iso_code": "085", "names": {"en": "Santa Clara"}},
    ],
}
NETWORK = {"autonomous_system_number": 15169, "autonomous_system_organization": "Google LLC"}
FLAT = {
    "country_code": "US",
    "state1": "California",
    "city": "Mountain View",
    "latitude": 37.386,
    "longitude": -122.0838,
    "timezone": "America/Los_Angeles",
}
PLACE = Location(
    country="US",
    continent="NA",
    region="California",
    city="Mountain View",
    timezone="America/Los_Angeles",
    latitude=37.386,
    longitude=-122.0838,
)
TODAY = datetime.now(UTC).date()


@pytest.mark.parametrize(
    ("kind", "record", "expected"),
    [
        ("GeoLite2-City", CITY, {**PLACE.columns(), "region_code": "CA"}),
        (
            "GeoIP2-Enterprise",
            {**CITY, "traits": NETWORK},
            {**PLACE.columns(), "region_code": "CA", "asn": 15169, "as_org": "Google LLC"},
        ),
        ("GeoLite2-Country", {"country": {"iso_code": "NL"}}, {"country": "NL", "continent": "EU"}),
        ("GeoLite2-ASN", NETWORK, {"asn": 15169, "as_org": "Google LLC"}),
        ("GeoIP2-ISP", {**NETWORK, "isp": "Google"}, {"asn": 15169, "as_org": "Google LLC"}),
        ("city ipvAll", FLAT, PLACE.columns()),
        (
            "generic lite",
            {"country": "Japan", "country_code": "JP", "continent": "Asia", "asn": "AS2500", "as_name": "WIDE"},
            {"country": "JP", "continent": "AS", "asn": 2500, "as_org": "WIDE"},
        ),
        (
            "standard location",
            {"country": "JP", "city": "Tokyo", "region": "Tokyo", "region_code": "13", "lat": "35.68", "lng": "139.69"},
            {
                "country": "JP",
                "continent": "AS",
                "city": "Tokyo",
                "region": "Tokyo",
                "region_code": "13",
                "latitude": 35.68,
                "longitude": 139.69,
            },
        ),
    ],
)
def test_each_layout_gives_its_fields(
    write_database: WriteDatabase, kind: str, record: dict[str, Any], expected: dict[str, Any]
) -> None:
    lookup = Locator([write_database(kind, {"8.8.8.0/24": record})]).locate("8.8.8.8")

    assert lookup.state == "done"
    assert lookup.location == Location(**expected)
    assert lookup.source == f"{kind} {TODAY}"


def test_city_and_asn_files_become_one_location(write_database: WriteDatabase) -> None:
    asn = write_database("GeoLite2-ASN", {"8.8.8.0/24": NETWORK, "9.9.9.0/24": NETWORK})
    city = write_database("GeoLite2-City", {"8.8.8.0/24": CITY})
    locator = Locator([asn, city])

    both = locator.locate("8.8.8.8")
    assert both.location is not None
    assert (both.location.city, both.location.asn) == ("Mountain View", 15169)
    assert both.source == f"GeoLite2-ASN {TODAY} + GeoLite2-City {TODAY}"

    network_only = locator.locate("9.9.9.9")
    assert network_only.location == Location(asn=15169, as_org="Google LLC")
    assert network_only.source == f"GeoLite2-ASN {TODAY}"

    assert locator.locate("1.1.1.1").state == "not_found"


def test_city_file_wins_over_country_file_and_fields_of_two_countries_do_not_mix(write_database: WriteDatabase) -> None:
    country = write_database("GeoLite2-Country", {"8.0.0.0/8": {"country": {"iso_code": "CA"}}})
    bare = {"country": {"iso_code": "US"}}
    city = write_database("GeoLite2-City", {"8.8.8.0/24": bare, "8.8.4.0/24": CITY})
    other = write_database("DBIP-City", {"8.8.8.0/24": {**CITY, "country": {"iso_code": "CA"}, "traits": NETWORK}})
    locator = Locator([country, city, other])

    assert locator.locate("8.8.4.4").location == Location(**{**PLACE.columns(), "region_code": "CA"})
    assert locator.locate("8.8.8.8").location == Location("US", "NA", asn=15169, as_org="Google LLC")
    assert locator.locate("8.1.1.1").location == Location("CA", "NA")


def test_ipv6_address_is_only_unknown_to_an_ipv4_file(write_database: WriteDatabase) -> None:
    locator = Locator(
        [write_database("GeoLite2-Country", {"8.8.8.0/24": {"country": {"iso_code": "US"}}}, ip_version=4)]
    )

    assert locator.locate("2606:4700:4700::1111").state == "not_found"
    assert locator.locate("8.8.8.8").state == "done"


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        "US",
        {},
        {"country": []},
        {"country": {"iso_code": "XX"}},
        {"country": {"iso_code": ["US"]}},
        {"country_code": {"a": 1}},
        {"country_code": "us"},
        {"subdivisions": {"a": 1}},
        {"subdivisions": ["CA"]},
        {"city": {"names": "x"}},
        {"city": {"names": {"en": "\x00\x1b[31m"}}},
        {"location": {"latitude": float("nan"), "longitude": 1.0}},
        {"location": {"latitude": 91.0, "longitude": 181.0}},
        {"location": {"latitude": 12.0}},
        {"autonomous_system_number": -1},
        {"autonomous_system_number": True},
        {"asn": "AS99999999999999999999"},
    ],
)
def test_malformed_record_says_nothing(record: object) -> None:
    assert read_record(record) is None


def test_long_names_are_cut_to_their_columns() -> None:
    record = {"city": {"names": {"en": "c" * 500}}, "autonomous_system_organization": "o" * 500}
    location = read_record(record)
    assert location is not None
    assert (len(location.city or ""), len(location.as_org or "")) == (128, 255)
