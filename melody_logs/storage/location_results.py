"""Where sign-ins came from, written back by who still holds their claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    bindparam,
    case,
    column,
    delete,
    func,
    literal_column,
    select,
    type_coerce,
    update,
)

from .columns import UtcDateTime
from .database import Database
from .location_choice import LOCATION_COLUMNS, LocationResult, choose_location, measure_location
from .models import LocationClaim, SignInLog
from .positions import allocate_positions
from .rows import is_one_of, is_one_of_text, records_of, to_records, to_text, update_rows
from .totals import TotalsChange

MOST_ATTEMPTS = 5
_TABLE: Any = SignInLog.__table__
_CLAIMS: Any = LocationClaim.__table__
_GIVEN = (*LOCATION_COLUMNS, "geo_state", "geo_source", "position")


class _Moved(NamedTuple):
    """Rows of an hour and kind that got the same country: how many, from which country, and how many bytes larger."""

    recorded_at: Any
    event: str
    outcome: str
    country: str | None
    new_country: str | None
    rows: int
    added_bytes: int


def write_locations(database: Database, owner: str, results: Mapping[int, LocationResult]) -> int:
    """Write the results of rows that *owner* still holds; return how many were written.

    Position, version and ``updated_at`` rise only where a location has changed: a row that was looked at again in vain
    is no news for those who follow the log.
    """
    with database.write() as connection:
        now = database.now(connection)
        updates = [_describe(row_id, results[row_id]) for row_id in sorted(results)]
        seen = [update for update in updates if update["is_visible"]]
        if seen:
            first = allocate_positions(connection, "sign-in", len(seen))
            for position, update in enumerate(seen, first):
                update["position"] = position
        write = _write_at_once if connection.dialect.name == "postgresql" else _write_each
        change = TotalsChange()
        written = 0
        for moved in write(connection, owner, updates, now):
            change.move(moved, country=moved.new_country, added_bytes=int(moved.added_bytes), rows=moved.rows)
            written += moved.rows
        change.apply(connection)
    return written


def _describe(row_id: int, result: LocationResult) -> dict[str, Any]:
    """Name the columns of a row that are not empty, and how many bytes of text they add."""
    chosen, is_visible = choose_location(result)
    given: dict[str, Any] = {"row_id": row_id, "geo_state": chosen.state, "is_visible": is_visible}
    if chosen.source is not None:
        given["geo_source"] = chosen.source
    given |= {name: value for name, value in chosen.columns.items() if value is not None}
    given["added_bytes"] = measure_location(chosen.columns)
    if result.before is not None:
        given["added_bytes"] -= measure_location(result.before.columns)
    return given


def _write_at_once(
    connection: Connection, owner: str, updates: Sequence[dict[str, Any]], now: datetime
) -> Sequence[Any]:
    ids = to_text([update["row_id"] for update in updates])
    # The rows before their claims, as who claims them does: else the two could wait for each other.
    connection.execute(_lock_statement(), {"ids": ids})
    given = {"ids": ids, "owner": owner, "records": to_records(updates), "updated_at": now}
    return connection.execute(_write_statement(), given).all()


@lru_cache(1)
def _lock_statement() -> Any:
    locked = select(_TABLE.c.id).where(is_one_of_text(_TABLE.c.id), _TABLE.c.geo_state == "pending")
    locked = locked.order_by(_TABLE.c.id).with_for_update()
    return select(func.count()).select_from(locked.subquery("locked"))


@lru_cache(1)
def _write_statement() -> Any:
    """End the claims, change the rows and add up what changed, in one statement."""
    ended = delete(_CLAIMS).where(is_one_of_text(_CLAIMS.c.sign_in_id), _CLAIMS.c.owner == bindparam("owner"))
    mine = ended.returning(_CLAIMS.c.sign_in_id, _CLAIMS.c.attempts).cte("mine")
    more = (column("row_id", BigInteger), column("added_bytes", BigInteger), column("is_visible", Boolean))
    records = records_of(_TABLE, _GIVEN, *more)
    is_visible = records.c.is_visible
    before = _TABLE.alias("before")
    changed = (
        update(_TABLE)
        .where(_TABLE.c.id == records.c.row_id, _TABLE.c.geo_state == "pending")
        .where(mine.c.sign_in_id == records.c.row_id, before.c.id == records.c.row_id)
        .values({name: records.c[name] for name in _GIVEN if name != "position"})
        .values(
            position=func.coalesce(records.c.position, _TABLE.c.position),
            updated_at=case((is_visible, bindparam("updated_at", type_=UtcDateTime())), else_=_TABLE.c.updated_at),
            version=_TABLE.c.version + case((is_visible, 1), else_=0),
            stored_bytes=_TABLE.c.stored_bytes + records.c.added_bytes,
            geo_attempts=func.least(mine.c.attempts, MOST_ATTEMPTS),
        )
        .returning(
            *(_TABLE.c.recorded_at, _TABLE.c.event, _TABLE.c.outcome, before.c.country),
            _TABLE.c.country.label("new_country"),
            records.c.added_bytes,
        )
        .cte("changed")
    )
    hour = type_coerce(func.date_trunc("hour", changed.c.recorded_at, "UTC"), UtcDateTime()).label("recorded_at")
    keys = [hour, changed.c.event, changed.c.outcome, changed.c.country, changed.c.new_country]
    added = func.sum(changed.c.added_bytes).label("added_bytes")
    return select(*keys, func.count().label("rows"), added).group_by(*(literal_column(str(n)) for n in range(1, 6)))


def _write_each(connection: Connection, owner: str, updates: Sequence[dict[str, Any]], now: datetime) -> Sequence[Any]:
    ids = [update["row_id"] for update in updates]
    mine = (is_one_of(connection, _CLAIMS.c.sign_in_id, ids), _CLAIMS.c.owner == owner)
    columns = [
        _TABLE.c[name]
        for name in ("id", "recorded_at", "event", "outcome", "country", "version", "position", "stored_bytes")
    ]
    pending = select(*columns).where(is_one_of(connection, _TABLE.c.id, ids), _TABLE.c.geo_state == "pending")
    # The rows before their claims, as who claims them does: else the two could wait for each other.
    rows = {row.id: row for row in connection.execute(pending.order_by(_TABLE.c.id).with_for_update())}
    held = {claim.sign_in_id: claim.attempts for claim in connection.execute(select(_CLAIMS).where(*mine))}
    connection.execute(delete(_CLAIMS).where(*mine))
    changes: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    moved = []
    for given in updates:
        row = rows.get(given["row_id"])
        if row is None or row.id not in held:
            continue
        added = given["added_bytes"]
        is_visible = given["is_visible"]
        change = {"position": row.position, "row_id": row.id, "version": row.version + is_visible}
        change = {name: None for name in _GIVEN} | change | {name: given[name] for name in _GIVEN if name in given}
        change |= {"stored_bytes": row.stored_bytes + added, "geo_attempts": min(held[row.id], MOST_ATTEMPTS)}
        changes[is_visible].append(change)
        moved.append(_Moved(row.recorded_at, row.event, row.outcome, row.country, given.get("country"), 1, added))
    for is_visible, shared in ((True, {"updated_at": now}), (False, {})):
        if changes[is_visible]:
            update_rows(connection, _TABLE, changes[is_visible], shared)
    return moved
