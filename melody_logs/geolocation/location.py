"""What is known about a place, and the answer to one look-up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Location:
    """A place, with the column names of the sign-in log; what is unknown is None."""

    #: ISO 3166-1 alpha-2, or ``XK``.
    country: str | None = None
    #: AF, AN, AS, EU, NA, OC or SA.
    continent: str | None = None
    #: English name of the largest division of the country, such as ``California``.
    region: str | None = None
    #: Its ISO 3166-2 code without the country, such as ``CA``.
    region_code: str | None = None
    city: str | None = None
    #: IANA name, such as ``Europe/Amsterdam``.
    timezone: str | None = None
    #: Degrees, north positive.
    latitude: float | None = None
    #: Degrees, east positive.
    longitude: float | None = None
    #: Number of the autonomous system that announces the address.
    asn: int | None = None
    as_org: str | None = None

    def columns(self) -> dict[str, Any]:
        """Return the fields by column name; many times faster than ``dataclasses.asdict``."""
        return {name: getattr(self, name) for name in FIELDS}


FIELDS: tuple[str, ...] = tuple(Location.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Lookup:
    """The answer for one address: its state, the place when there is one, and who said so."""

    #: ``done``, ``not_applicable`` (no public address) or ``not_found``: words of ``vocabulary.GEO_STATES``.
    state: str
    location: Location | None = None
    #: At most 64 characters, such as ``GeoLite2-City 2026-09-01``; None where nobody was asked.
    source: str | None = None


#: Files name their source with the month or day they were built on; headers and imported rows have none.
_BUILT_ON = re.compile(r" [0-9]{4}-[0-9]{2}")


def is_of_file(source: str) -> bool:
    """Say whether a source is a file, which a newer one may know better than, not a header or another system."""
    return _BUILT_ON.search(source) is not None


NOT_APPLICABLE = Lookup("not_applicable")
