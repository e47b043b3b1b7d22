"""Which of two locations of a sign-in stays, when a newer file was asked about one that was located before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PLACE = ("country", "continent", "region", "region_code", "city", "timezone", "latitude", "longitude")
_NETWORK = ("asn", "as_org")
LOCATION_COLUMNS = (*_PLACE, *_NETWORK)


@dataclass(frozen=True, slots=True)
class KeptLocation:
    """What a row that is looked at again has already: its columns, empty ones left out, and who said so.

    There are none, and no source, where no location was found.
    """

    columns: Mapping[str, Any]
    source: str | None


@dataclass(frozen=True, slots=True)
class LocationResult:
    """What a look-up gave: a final ``geo_state``, the columns it fills, and the source's name.

    ``before`` is what the row has already, if it is looked at again.
    """

    state: str
    columns: Mapping[str, Any]
    source: str | None
    before: KeptLocation | None = None


def choose_location(result: LocationResult) -> tuple[LocationResult, bool]:
    """Return what is to stand in the row, and whether somebody who reads it sees a change.

    A place that the new file does not know, or knows less about (only the country of a city), stays with its source;
    another country is news, whatever else is known. The network is judged for itself.
    """
    before = result.before
    if before is None:
        return result, True
    found = _given(result.columns) if result.state == "done" else {}
    if not found and not before.columns:
        return result, False
    keeps_place = _detail(found) < _detail(before.columns) and _agree(found, before.columns)
    place, source = (before.columns, before.source) if keeps_place else (found, result.source)
    network = found if any(name in found for name in _NETWORK) else before.columns
    columns = {name: place[name] for name in _PLACE if name in place}
    columns |= {name: network[name] for name in _NETWORK if name in network}
    return LocationResult("done", columns, source), columns != _given(before.columns)


def measure_location(columns: Mapping[str, Any]) -> int:
    """Count the bytes of a location's text."""
    return sum(
        len(value if value.isascii() else value.encode()) for value in columns.values() if isinstance(value, str)
    )


def _given(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in columns.items() if value is not None}


def _detail(columns: Mapping[str, Any]) -> int:
    return next((rank for rank, name in ((3, "city"), (2, "region"), (1, "country")) if columns.get(name)), 0)


def _agree(found: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    country = found.get("country")
    return country is None or country == before.get("country")
