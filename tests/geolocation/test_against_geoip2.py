"""What we read from a GeoIP2 file is what MaxMind's own library reads from it."""

from __future__ import annotations

import geoip2.database
import pytest

from melody_logs.geolocation.locate import Locator
from tests.geolocation.conftest import WriteDatabase

CITY = {
    "continent": {"code": "EU", "names": {"en": "Europe"}},
    "country": {"iso_code": "GB", "names": {"en": "United Kingdom"}},
    "subdivisions": [{"iso_code": "ENG", "names": {"en": "England"}}],
    "city": {"names": {"en": "London", "fr": "Londres"}},
    "location": {"latitude": 51.5142, "longitude": -0.0931, "time_zone": "Europe/London"},
}
ADDRESSES = ["81.2.69.142", "2a02:8010::1", "8.8.8.8"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_city_file_reads_as_geoip2_reads_it(write_database: WriteDatabase, address: str) -> None:
    path = write_database("GeoLite2-City", {"81.2.69.0/24": CITY, "2a02:8010::/32": CITY})
    found = Locator([str(path)]).locate(address)
    with geoip2.database.Reader(path) as reader:
        try:
            theirs = reader.city(address)
        except geoip2.errors.AddressNotFoundError:
            assert found.state == "not_found"
            return
    ours = found.location
    assert ours is not None
    assert (ours.country, ours.continent, ours.city) == (
        theirs.country.iso_code,
        theirs.continent.code,
        theirs.city.name,
    )
    assert (ours.region, ours.region_code, ours.timezone) == (
        theirs.subdivisions.most_specific.name,
        theirs.subdivisions.most_specific.iso_code,
        theirs.location.time_zone,
    )
    assert (ours.latitude, ours.longitude) == (theirs.location.latitude, theirs.location.longitude)


def test_network_file_reads_as_geoip2_reads_it(write_database: WriteDatabase) -> None:
    record = {"autonomous_system_number": 15169, "autonomous_system_organization": "GOOGLE"}
    path = write_database("GeoLite2-ASN", {"8.8.8.0/24": record})
    ours = Locator([str(path)]).locate("8.8.8.8").location
    with geoip2.database.Reader(path) as reader:
        theirs = reader.asn("8.8.8.8")
    assert ours is not None
    assert (ours.asn, ours.as_org) == (theirs.autonomous_system_number, theirs.autonomous_system_organization)
