"""From whatever a file or a header says to a value that fits its column; what does not fit becomes None."""

from __future__ import annotations

import re
from typing import Any

from .countries import CONTINENT_OF, CONTINENTS

NAME_LIMIT = 128
ORGANISATION_LIMIT = 255
SOURCE_LIMIT = 64
_LARGEST_ASN = 4_294_967_295
_REGION_CODE = re.compile(r"[A-Za-z0-9]{1,3}")
_TIMEZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{1,63}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{1,20})?")
_ASN = re.compile(r"(?:AS)?([0-9]{1,10})", re.IGNORECASE)


def country_code(value: Any) -> str | None:
    """Accept the code of a country in capitals; ``XX``, ``ZZ``, ``T1`` and the like are no countries."""
    return value if isinstance(value, str) and value in CONTINENT_OF else None


def continent_code(value: Any, country: str | None) -> str | None:
    """Accept the code of a continent; without one, take that of *country*."""
    if isinstance(value, str) and value in CONTINENTS:
        return value
    return CONTINENT_OF.get(country) if country else None


def name(value: Any, limit: int = NAME_LIMIT) -> str | None:
    """Accept printable text, cut to *limit* characters."""
    if not isinstance(value, str):
        return None
    # Printable text has no control characters and no lone surrogates: every database and every encoder takes it.
    return value[:limit].strip() or None if value.isprintable() else None


def region_code(value: Any) -> str | None:
    """Accept the second part of an ISO 3166-2 code: at most three letters or digits; returned in capitals."""
    return value.upper() if isinstance(value, str) and _REGION_CODE.fullmatch(value) else None


def timezone(value: Any) -> str | None:
    """Accept text of the form of an IANA time zone name."""
    return value if isinstance(value, str) and _TIMEZONE.fullmatch(value) else None


def degrees(value: Any, most: float) -> float | None:
    """Accept a number, or its decimal text, from -*most* to *most*."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
        return None
    return float(value)


def coordinates(latitude: Any, longitude: Any) -> tuple[float | None, float | None]:
    """Accept a pair of degrees; half a position is none."""
    if type(latitude) is float and type(longitude) is float and abs(latitude) <= 90 and abs(longitude) <= 180:
        return latitude, longitude  # what nearly every file holds
    north, east = degrees(latitude, 90), degrees(longitude, 180)
    return (north, east) if north is not None and east is not None else (None, None)


def as_number(value: Any) -> int | None:
    """Accept the number of an autonomous system (RFC 6793), also as text such as ``AS3333``."""
    if isinstance(value, str) and (match := _ASN.fullmatch(value)):
        value = int(match[1])
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST_ASN:
        return None
    return value
