"""Locations from the headers of content delivery networks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import EnvironHeaders, Headers

from melody_logs.geolocation.headers import locate_by_headers
from melody_logs.geolocation.location import Location

CLOUDFLARE = {
    "CF-IPCountry": "BR",
    "CF-IPContinent": "SA",
    "CF-IPCity": "São Paulo".encode().decode("latin-1"),
    "CF-Region": "São Paulo".encode().decode("latin-1"),
    "CF-Region-Code": "SP",
    "CF-IPLatitude": "-23.54750",
    "CF-IPLongitude": "-46.63610",
    "CF-Timezone": "America/Sao_Paulo",
}
CLOUDFRONT = {
    "CloudFront-Viewer-Country": "BR",
    "CloudFront-Viewer-City": "S%C3%A3o%20Paulo",
    "CloudFront-Viewer-Country-Region": "SP",
    "CloudFront-Viewer-Country-Region-Name": "S%C3%A3o%20Paulo",
    "CloudFront-Viewer-Latitude": "-23.54750",
    "CloudFront-Viewer-Longitude": "-46.63610",
    "CloudFront-Viewer-Time-Zone": "America/Sao_Paulo",
    "CloudFront-Viewer-ASN": "28573",
}
VERCEL = {
    "X-Vercel-IP-Country": "BR",
    "X-Vercel-IP-Continent": "SA",
    "X-Vercel-IP-Country-Region": "SP",
    "X-Vercel-IP-City": "S%C3%A3o%20Paulo",
    "X-Vercel-IP-Latitude": "-23.5475",
    "X-Vercel-IP-Longitude": "-46.6361",
    "X-Vercel-IP-Timezone": "America/Sao_Paulo",
}
APP_ENGINE = {
    "X-AppEngine-Country": "BR",
    "X-AppEngine-Region": "sp",
    "X-AppEngine-City": "são paulo".encode().decode("latin-1"),
    "X-AppEngine-CityLatLong": "-23.547500,-46.636100",
}
SAO_PAULO = Location(
    "BR", "SA", "São Paulo", "SP", "São Paulo", "America/Sao_Paulo", latitude=-23.5475, longitude=-46.6361
)
ALL = {"cloudflare": CLOUDFLARE, "cloudfront": CLOUDFRONT, "vercel": VERCEL, "app_engine": APP_ENGINE}


def expected(**changes: object) -> Location:
    return Location(**{**SAO_PAULO.columns(), **changes})


@pytest.mark.parametrize(
    ("provider", "location"),
    [
        ("cloudflare", SAO_PAULO),
        ("cloudfront", expected(asn=28573)),
        ("vercel", expected(region=None)),
        ("app_engine", expected(region=None, city="são paulo", timezone=None)),
    ],
)
def test_each_network_gives_its_fields(provider: str, location: Location) -> None:
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in ALL[provider].items()}

    lookup = locate_by_headers(EnvironHeaders(environ), provider)

    assert lookup is not None
    assert (lookup.state, lookup.source) == ("done", f"{provider} headers")
    assert lookup.location == location


@pytest.mark.parametrize(
    "country", ["", "XX", "T1", "ZZ", "br", "BRA", "B", "B\x00", "<b>", "\uff22\uff32", "A" * 100_000]
)
@pytest.mark.parametrize("provider", sorted(ALL))
def test_without_a_real_country_the_headers_say_nothing(provider: str, country: str) -> None:
    name = next(name for name in ALL[provider] if name.lower().endswith("country"))
    assert locate_by_headers({**Headers(ALL[provider]), name: country}, provider) is None


def test_headers_of_another_network_are_not_read() -> None:
    assert locate_by_headers(Headers(CLOUDFLARE), "vercel") is None


@pytest.mark.parametrize(
    ("header", "value", "field"),
    [
        ("CF-IPLatitude", "nan", "latitude"),
        ("CF-IPLatitude", "1e3", "latitude"),
        ("CF-IPLatitude", "90.01", "latitude"),
        ("CF-IPLongitude", "inf", "longitude"),
        ("CF-IPLongitude", "-180.5", "longitude"),
        ("CF-IPLongitude", "\uff11", "longitude"),
        ("CF-IPCity", "a\x00b", "city"),
        ("CF-IPCity", "%00", "city"),
        ("CF-IPCity", "line%0d%0abreak", "city"),
        ("CF-IPCity", "\x1b[31mred", "city"),
        ("CF-IPCity", "\ud800", "city"),
        ("CF-IPCity", "x" * 2000, "city"),
        ("CF-Region-Code", "S'--", "region_code"),
        ("CF-Region-Code", "LONG", "region_code"),
        ("CF-Timezone", "../../etc/passwd", "timezone"),
        ("CF-Timezone", "A" * 65, "timezone"),
    ],
)
def test_bad_value_is_left_out(header: str, value: str, field: str) -> None:
    lookup = locate_by_headers({**CLOUDFLARE, header: value}, "cloudflare")
    assert lookup is not None
    assert lookup.location is not None
    assert getattr(lookup.location, field) is None
    assert lookup.location.country == "BR"


def test_continent_comes_from_the_country_when_the_header_is_wrong() -> None:
    lookup = locate_by_headers({**CLOUDFLARE, "CF-IPContinent": "T1"}, "cloudflare")
    assert lookup is not None
    assert lookup.location == SAO_PAULO


def test_long_city_is_cut_to_its_column() -> None:
    lookup = locate_by_headers({**CLOUDFLARE, "CF-IPCity": "x" * 500}, "cloudflare")
    assert lookup is not None
    assert lookup.location is not None
    assert lookup.location.city == "x" * 128


@given(provider=st.sampled_from(sorted(ALL)), data=st.data())
def test_any_headers_are_survived(provider: str, data: st.DataObject) -> None:
    """Whatever stands in the headers, the outcome fits the columns and every database can store it."""
    names = [name for name in ALL[provider] if not name.lower().endswith("country")]
    odd = data.draw(st.dictionaries(st.sampled_from(names), st.text(st.characters(), max_size=300)))

    lookup = locate_by_headers({**ALL[provider], **odd}, provider)

    assert lookup is not None
    assert lookup.location is not None
    limits = {"region": 128, "city": 128, "region_code": 3, "timezone": 64}
    for field, limit in limits.items():
        value = getattr(lookup.location, field)
        assert value is None or (0 < len(value) <= limit and value.encode() and "\x00" not in value)
