"""From a record of an MMDB file to a Location, for the layouts that are in use.

The nested layout is that of GeoLite2, GeoIP2 and DB-IP (City, Country, Enterprise, ASN, ISP); the flat one, with a
column a key, is that of tables made from CSV files. Records are read as plain maps: building a geoip2 model for each
row costs as much again as the look-up, and geoip2 refuses the flat layouts altogether.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from . import values
from .location import FIELDS, Location

Record = Mapping[str, Any]

_NOTHING: Record = {}
_NETWORK_ONLY = frozenset({"asn", "as_org"})


def read_record(record: object) -> Location | None:
    """Return what *record* says about the place, or None if it says nothing or is built like no layout we know."""
    if not isinstance(record, dict):
        return None
    try:
        if is_flat(record):
            return _read_flat(record)
        return _read_nested(record)
    except (AttributeError, LookupError, TypeError):  # a list where a map belongs, and the like
        return None


def is_flat(record: object) -> bool:
    """Say whether a record has a column a key, not maps in maps."""
    return isinstance(record, dict) and ("country_code" in record or isinstance(record.get("country"), str))


def merge(first: Location, second: Location) -> Location:
    """Fill the gaps of *first* from *second*; a second that names another country gives only the network."""
    agree = first.country is None or second.country is None or first.country == second.country
    return Location(*[_choose(first, second, name, agree) for name in FIELDS])


def _choose(first: Location, second: Location, name: str, agree: bool) -> Any:
    value = getattr(first, name)
    return getattr(second, name) if value is None and (agree or name in _NETWORK_ONLY) else value


def _read_nested(record: Record) -> Location | None:
    place = record.get("location", _NOTHING)
    divisions = record.get("subdivisions")
    # The first division is the largest one: a state, a land, a nation of the United Kingdom.
    region = divisions[0] if divisions else _NOTHING
    network = record.get("traits") or record
    return _build(
        record.get("country", _NOTHING).get("iso_code"),
        record.get("continent", _NOTHING).get("code"),
        region.get("names", _NOTHING).get("en"),
        region.get("iso_code"),
        record.get("city", _NOTHING).get("names", _NOTHING).get("en"),
        place.get("time_zone"),
        place.get("latitude"),
        place.get("longitude"),
        network.get("autonomous_system_number"),
        network.get("autonomous_system_organization"),
    )


def _read_flat(record: Record) -> Location | None:
    return _build(
        record.get("country_code", record.get("country")),
        record.get("continent_code", record.get("continent")),
        record.get("state1", record.get("region")),
        record.get("region_code"),
        record.get("city"),
        record.get("timezone", record.get("time_zone")),
        record.get("latitude", record.get("lat")),
        record.get("longitude", record.get("lng")),
        record.get("autonomous_system_number", record.get("asn")),
        record.get("autonomous_system_organization", record.get("as_name", record.get("as_org"))),
    )


# Places repeat far more than addresses do, and checking ten values costs as much as reading them.
@lru_cache(8192)
def _build(
    country: Any,
    continent: Any,
    region: Any,
    region_code: Any,
    city: Any,
    timezone: Any,
    latitude: Any,
    longitude: Any,
    number: Any,
    organisation: Any,
) -> Location | None:
    country = values.country_code(country)
    location = Location(
        country,
        values.continent_code(continent, country),
        values.name(region),
        values.region_code(region_code),
        values.name(city),
        values.timezone(timezone),
        *values.coordinates(latitude, longitude),
        values.as_number(number),
        values.name(organisation, values.ORGANISATION_LIMIT),
    )
    return None if location == _EMPTY else location


_EMPTY = Location()
