"""A close look at a location file: is it whole, is it built as we read it, what does it know."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from itertools import islice

import maxminddb

from ..errors import GeolocationUnavailableError
from .databases import BUNDLED_TABLE, Opened, open_database
from .kinds import kind_of
from .location import FIELDS
from .records import is_flat, read_record

_SAMPLED_NETWORKS = 2000
#: One address of each so many, all over IPv4.
_ADDRESS_STEP = 1 << 20


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a location file is and knows."""

    path: str
    #: ``database_type`` of the file, such as ``GeoLite2-City``.
    type: str
    #: ``city``, ``country`` or ``asn``; None if the type does not say.
    kind: str | None
    built_at: datetime
    bytes: int
    #: Nodes of the search tree: about the number of networks.
    nodes: int
    #: 4: it knows no IPv6 addresses; 6: both.
    ip_version: int
    #: ``nested``: maps in maps, as GeoLite2, GeoIP2 and DB-IP have them; ``flat``: a column a key.
    layout: str
    #: The columns of a location that a sample of its networks fills.
    fields: tuple[str, ...]


def inspect_file(path: str | os.PathLike[str]) -> FileFacts:
    """Open a file, look up addresses all over it, and say what it knows.

    :raise GeolocationUnavailableError: if it is missing, damaged, or not built like a location file.
    """
    shown = os.fspath(path)
    try:
        opened = open_database(shown, shown)
        size = os.stat(shown).st_size
    except maxminddb.InvalidDatabaseError as error:
        raise GeolocationUnavailableError(str(error)) from error
    except OSError as error:
        raise GeolocationUnavailableError(f'"{shown}" cannot be read: {error.strerror or error}') from error
    metadata = opened.reader.metadata()
    records = [*_first_records(opened), *_spread_records(opened)]
    return FileFacts(
        path=shown,
        type=opened.type,
        kind="country" if shown == str(BUNDLED_TABLE) else kind_of(opened.type),
        built_at=datetime.fromtimestamp(metadata.build_epoch, UTC),
        bytes=size,
        nodes=metadata.node_count,
        ip_version=opened.ip_version,
        layout="flat" if any(map(is_flat, records)) else "nested",
        fields=_sum_fields(opened, records),
    )


def _sum_fields(opened: Opened, records: list[object]) -> tuple[str, ...]:
    known: set[str] = set()
    for location in map(read_record, records):
        if location is not None:
            known.update(name for name, value in location.columns().items() if value is not None)
    if not known:
        raise GeolocationUnavailableError(
            f'"{opened.path}" is of the type "{opened.type[:64]}" and built like no location file that we know; '
            "accepted: City, Country and ASN in the layout of GeoLite2, GeoIP2 or DB-IP, or with a column a key"
        )
    return tuple(name for name in FIELDS if name in known)


def _first_records(opened: Opened) -> list[object]:
    """Read the first networks: a small file may have none of the spread addresses."""
    try:
        return [record for _, record in islice(opened.reader, _SAMPLED_NETWORKS)]
    except Exception as error:  # a damaged file makes the reader raise nearly anything
        raise GeolocationUnavailableError(f'"{opened.path}" is damaged: {error}') from error


def _spread_records(opened: Opened) -> list[object]:
    return [opened.get(str(IPv4Address(number))) for number in range(0, 1 << 32, _ADDRESS_STEP)]
