"""Sign-ins that wait for their location: claimed with a lease, written back under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, or_, select, update

from .database import Database
from .models import SignInLog
from .rows import is_one_of, update_rows
from .totals import TotalsChange
from .writer import allocate_positions

MOST_ATTEMPTS = 5
_TABLE: Any = SignInLog.__table__
LOCATION_COLUMNS = (
    "country",
    "continent",
    "region",
    "region_code",
    "city",
    "timezone",
    "latitude",
    "longitude",
    "asn",
    "as_org",
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sign-in that waits for its location."""

    id: int
    ip: str | None


@dataclass(frozen=True, slots=True)
class LocationResult:
    """What a look-up gave: a final ``geo_state``, the columns it fills, and the source's name."""

    state: str
    columns: Mapping[str, Any]
    source: str | None


def claim_pending(database: Database, *, limit: int, owner: str, lease_seconds: int = 60) -> list[Claim]:
    """Claim up to *limit* waiting sign-ins for *owner*, oldest first, and count the attempt before the work.

    A row that was claimed five times without an answer becomes ``failed``: whatever it does to the worker ends there.
    """
    with database.transaction() as connection:
        now = database.now(connection)
        waiting = (
            select(_TABLE.c.id, _TABLE.c.ip, _TABLE.c.geo_attempts)
            .where(_TABLE.c.geo_state == "pending")
            .where(or_(_TABLE.c.geo_lease_until.is_(None), _TABLE.c.geo_lease_until < now))
            .order_by(_TABLE.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = connection.execute(waiting).all()
        given_up = [row.id for row in rows if row.geo_attempts >= MOST_ATTEMPTS]
        claimed = [row for row in rows if row.geo_attempts < MOST_ATTEMPTS]
        _update_each(connection, given_up, {"geo_state": "failed", "geo_lease_owner": None, "geo_lease_until": None})
        lease = {"geo_lease_owner": owner, "geo_lease_until": now + timedelta(seconds=lease_seconds)}
        _update_each(connection, [row.id for row in claimed], lease | {"geo_attempts": _TABLE.c.geo_attempts + 1})
    return [Claim(row.id, row.ip) for row in claimed]


def release_claims(database: Database, owner: str) -> None:
    """Give the claimed rows of *owner* back without a counted attempt: no location database could be read."""
    with database.write() as connection:
        connection.execute(
            update(_TABLE)
            .where(_TABLE.c.geo_state == "pending", _TABLE.c.geo_lease_owner == owner)
            .values(geo_lease_owner=None, geo_lease_until=None, geo_attempts=_TABLE.c.geo_attempts - 1)
        )


def write_locations(database: Database, owner: str, results: Mapping[int, LocationResult]) -> int:
    """Write the results of rows that *owner* still holds; return how many were written."""
    with database.write() as connection:
        now = database.now(connection)
        held = connection.execute(
            select(
                _TABLE.c.id,
                _TABLE.c.recorded_at,
                _TABLE.c.event,
                _TABLE.c.outcome,
                _TABLE.c.country,
                _TABLE.c.version,
                _TABLE.c.stored_bytes,
            )
            .where(is_one_of(connection, _TABLE.c.id, list(results)))
            .where(_TABLE.c.geo_state == "pending", _TABLE.c.geo_lease_owner == owner)
            .order_by(_TABLE.c.id)
            .with_for_update()
        ).all()
        if not held:
            return 0
        position = allocate_positions(connection, "sign-in", len(held))
        change = TotalsChange()
        updates = []
        for offset, row in enumerate(held):
            result = results[row.id]
            columns = {name: result.columns.get(name) for name in LOCATION_COLUMNS}
            added_bytes = _count_text_bytes(columns)
            change.move(row, country=columns["country"], added_bytes=added_bytes)
            columns |= {"geo_state": result.state, "geo_source": result.source, "version": row.version + 1}
            columns |= {"position": position + offset, "stored_bytes": row.stored_bytes + added_bytes}
            updates.append(columns | {"row_id": row.id})
        freed = {"updated_at": now, "geo_lease_owner": None, "geo_lease_until": None}
        update_rows(connection, _TABLE, updates, freed)
        change.apply(connection)
    return len(updates)


def find_oldest_pending(connection: Connection) -> datetime | None:
    """Read since when the sign-in that waits longest for its location has been there; None if none waits."""
    # Not recorded_at: an imported row was recorded long before it came here.
    waiting = select(_TABLE.c.updated_at).where(_TABLE.c.geo_state == "pending")
    moment: datetime | None = connection.scalar(waiting.order_by(_TABLE.c.id).limit(1))
    return moment


def _count_text_bytes(columns: Mapping[str, Any]) -> int:
    size = 0
    for value in columns.values():
        if isinstance(value, str):
            size += len(value) if value.isascii() else len(value.encode())
    return size


def _update_each(connection: Connection, ids: Sequence[int], values: Mapping[str, Any]) -> None:
    if ids:
        connection.execute(update(_TABLE).where(is_one_of(connection, _TABLE.c.id, ids)).values(values))
