"""The place that a content delivery network tells in its request headers.

Read only where the host says that it trusts them: a client that reaches the host directly may send anything. Whatever
the headers hold, nothing raises; a value that is not well-formed is left out.

Sources: Cloudflare "Add visitor location headers", Amazon CloudFront "Add CloudFront request headers", Vercel "Request
headers", Google App Engine "Request headers", as of 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote

from werkzeug.datastructures import Headers

from . import values
from .location import Location, Lookup

#: A plain mapping, or the headers of a request.
HeaderReader = Mapping[str, str] | Headers

_LONGEST_VALUE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """The header that holds each field; None where the network has none."""

    country: str
    continent: str | None = None
    region: str | None = None
    region_code: str | None = None
    city: str
    timezone: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    #: Both coordinates in one header, with a comma between.
    position: str | None = None
    asn: str | None = None


_PROVIDERS = {
    "cloudflare": _Names(
        country="CF-IPCountry",
        continent="CF-IPContinent",
        region="CF-Region",
        region_code="CF-Region-Code",
        city="CF-IPCity",
        timezone="CF-Timezone",
        latitude="CF-IPLatitude",
        longitude="CF-IPLongitude",
    ),
    "cloudfront": _Names(
        country="CloudFront-Viewer-Country",
        region="CloudFront-Viewer-Country-Region-Name",
        region_code="CloudFront-Viewer-Country-Region",
        city="CloudFront-Viewer-City",
        timezone="CloudFront-Viewer-Time-Zone",
        latitude="CloudFront-Viewer-Latitude",
        longitude="CloudFront-Viewer-Longitude",
        asn="CloudFront-Viewer-ASN",
    ),
    "vercel": _Names(
        country="X-Vercel-IP-Country",
        continent="X-Vercel-IP-Continent",
        region_code="X-Vercel-IP-Country-Region",
        city="X-Vercel-IP-City",
        timezone="X-Vercel-IP-Timezone",
        latitude="X-Vercel-IP-Latitude",
        longitude="X-Vercel-IP-Longitude",
    ),
    "app_engine": _Names(
        country="X-AppEngine-Country",
        region_code="X-AppEngine-Region",
        city="X-AppEngine-City",
        position="X-AppEngine-CityLatLong",
    ),
}


def locate_by_headers(headers: HeaderReader, provider: str) -> Lookup | None:
    """Return the place that the headers of *provider* tell, or None if they name no country.

    *headers* is looked up by the usual spelling of each name; Flask's ``request.headers`` takes any. *provider* is a
    value of the setting ``location_headers``.

    :raise KeyError: if *provider* is not one of them.
    """
    names = _PROVIDERS[provider]
    country = values.country_code(_read(headers, names.country))
    if country is None:
        return None
    latitude, longitude = _position(headers, names)
    location = Location(
        country=country,
        continent=values.continent_code(_read(headers, names.continent), country),
        region=values.name(_decode(_read(headers, names.region))),
        region_code=values.region_code(_read(headers, names.region_code)),
        city=values.name(_decode(_read(headers, names.city))),
        timezone=values.timezone(_read(headers, names.timezone)),
        latitude=latitude,
        longitude=longitude,
        asn=values.as_number(_read(headers, names.asn)),
    )
    return Lookup("done", location, f"{provider} headers")


def _position(headers: HeaderReader, names: _Names) -> tuple[float | None, float | None]:
    if names.position is None:
        return values.coordinates(_read(headers, names.latitude), _read(headers, names.longitude))
    latitude, _, longitude = (_read(headers, names.position) or "").partition(",")
    return values.coordinates(latitude.strip(), longitude.strip())


def _read(headers: HeaderReader, name: str | None) -> str | None:
    value = headers.get(name) if name else None
    return value.strip() if isinstance(value, str) and len(value) <= _LONGEST_VALUE else None


def _decode(value: str | None) -> str | None:
    """Undo what carried a name through a header: percent signs, and UTF-8 that WSGI hands on as Latin-1 (PEP 3333)."""
    if not value or value == "?":  # App Engine's word for an unknown city
        return None
    with suppress(UnicodeError):  # what is no UTF-8 in Latin-1 is taken as it stands
        value = value.encode("latin-1").decode("utf-8")
    return unquote(value)
