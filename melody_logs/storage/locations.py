"""Sign-ins that wait for their location: claimed with a lease, given back, given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, insert, literal, or_, select, update

from .columns import UtcDateTime
from .database import Database
from .location_choice import LOCATION_COLUMNS, KeptLocation, LocationResult
from .location_results import MOST_ATTEMPTS, write_locations
from .models import Heartbeat, LocationClaim, SignInLog
from .rows import is_one_of

_TABLE: Any = SignInLog.__table__
_CLAIMS: Any = LocationClaim.__table__
_MOST_CLAIMS = 10_000
#: The sign of life of whoever set rows back to be looked at again.
SET_BACK = "relocation"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sign-in that waits for its location; ``before`` is what it has, if it is looked at again."""

    id: int
    ip: str | None
    before: KeptLocation | None = None


_GIVEN_UP = LocationResult("failed", {}, None)


def claim_pending(database: Database, *, limit: int, owner: str, lease_seconds: int = 60) -> list[Claim]:
    """Claim up to *limit* waiting sign-ins for *owner*, oldest first, and count the attempt before the work.

    Rows that were claimed before without an answer come in ever smaller batches, the fifth time one by one, and then
    become ``failed``: whatever a row does to the worker ends there, and its neighbours are found without it.
    """
    while True:
        with database.transaction(waits_for_disk=False) as connection:
            now = database.now(connection)
            waiting = _lock_waiting(connection, now, limit)
            if not waiting:
                return []
            rows, attempts = _choose_rows(connection, waiting, now, limit)
            lease = {"owner": owner, "lease_until": now + timedelta(seconds=lease_seconds), "attempts": attempts + 1}
            ids = [row.id for row in rows]
            if attempts:
                connection.execute(
                    update(_CLAIMS).where(is_one_of(connection, _CLAIMS.c.sign_in_id, ids)).values(lease)
                )
            elif rows:
                _insert_claims(connection, ids, lease)
        if attempts >= MOST_ATTEMPTS:
            kept = _read_kept(database, rows)
            write_locations(database, owner, {id: replace(_GIVEN_UP, before=kept.get(id)) for id in ids})
        elif rows:
            kept = _read_kept(database, rows)
            return [Claim(row.id, row.ip, kept.get(row.id)) for row in rows]


def release_claims(database: Database, owner: str) -> None:
    """Give the claimed rows of *owner* back without a counted attempt: no location database could be read."""
    given_back = {"owner": None, "lease_until": None, "attempts": _CLAIMS.c.attempts - 1}
    with database.transaction() as connection:
        mine = _one_of_claims(connection, _CLAIMS.c.owner == owner)
        connection.execute(delete(_CLAIMS).where(mine, _CLAIMS.c.owner == owner, _CLAIMS.c.attempts <= 1))
        connection.execute(update(_CLAIMS).where(mine, _CLAIMS.c.owner == owner).values(given_back))


def forget_old_claims(database: Database) -> None:
    """Delete claims that nobody holds of sign-ins that wait no more, or were deleted."""
    with database.transaction() as connection:
        now = database.now(connection)
        waits = exists().where(_TABLE.c.id == _CLAIMS.c.sign_in_id, _TABLE.c.geo_state == "pending")
        free = or_(_CLAIMS.c.lease_until.is_(None), _CLAIMS.c.lease_until < now)
        connection.execute(delete(_CLAIMS).where(_one_of_claims(connection, free & ~waits), free))


def find_oldest_pending(connection: Connection) -> datetime | None:
    """Read since when the first of the sign-ins that wait for their location has waited; None if none waits."""
    # Not recorded_at: an imported row was recorded long before it came here.
    waiting = select(_TABLE.c.updated_at, _TABLE.c.geo_attempts).where(_TABLE.c.geo_state == "pending")
    first = connection.execute(waiting.order_by(_TABLE.c.id).limit(1)).first()
    if first is None:
        return None
    moment: datetime = first.updated_at
    if first.geo_attempts:
        # It was looked at before, and waits again since it was set back.
        set_back_at = connection.scalar(select(Heartbeat.seen_at).where(Heartbeat.name == SET_BACK))
        moment = max(moment, set_back_at or moment)
    return moment


def count_pending(connection: Connection, *, at_most: int) -> int:
    """Count the sign-ins that wait for their location, up to *at_most*."""
    waiting = select(_TABLE.c.id).where(_TABLE.c.geo_state == "pending").limit(at_most).subquery()
    return connection.scalar(select(func.count()).select_from(waiting)) or 0


def _lock_waiting(connection: Connection, now: datetime, limit: int) -> Sequence[Row[Any]]:
    """Lock the oldest rows that nobody holds; those that another locator is just claiming are left out."""
    lease = select(_CLAIMS.c.lease_until).where(_CLAIMS.c.sign_in_id == _TABLE.c.id).scalar_subquery()
    waiting = (
        select(_TABLE.c.id, _TABLE.c.ip, _TABLE.c.geo_attempts)
        .where(_TABLE.c.geo_state == "pending")
        .where(func.coalesce(lease, literal(_LONG_AGO, UtcDateTime())) < now)
        .order_by(_TABLE.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(waiting).all()


def _read_kept(database: Database, rows: Sequence[Row[Any]]) -> dict[int, KeptLocation]:
    """Read what the rows that are looked at again have: nobody but the holder of a claim changes it."""
    ids = [row.id for row in rows if row.geo_attempts]
    if not ids:
        return {}
    columns = [_TABLE.c[name] for name in LOCATION_COLUMNS]
    with database.read() as connection:
        wanted = select(_TABLE.c.id, _TABLE.c.geo_source, *columns).where(is_one_of(connection, _TABLE.c.id, ids))
        found = connection.execute(wanted).all()
    return {row.id: KeptLocation(_name_given(row), row.geo_source) for row in found}


def _name_given(row: Row[Any]) -> dict[str, Any]:
    return {name: value for name in LOCATION_COLUMNS if (value := getattr(row, name)) is not None}


def _choose_rows(
    connection: Connection, waiting: Sequence[Row[Any]], now: datetime, limit: int
) -> tuple[list[Row[Any]], int]:
    """Choose the first of the locked rows that were tried equally often; return them and how often that was."""
    claims = select(_CLAIMS).where(is_one_of(connection, _CLAIMS.c.sign_in_id, [row.id for row in waiting]))
    known = {claim.sign_in_id: claim for claim in connection.execute(claims)}
    # A claim may have been committed between the look at it and the lock; under the lock, none comes any more.
    taken = {row_id for row_id, claim in known.items() if claim.lease_until and claim.lease_until >= now}
    tried = {row_id: claim.attempts for row_id, claim in known.items()}
    free = [row for row in waiting if row.id not in taken]
    attempts = tried.get(free[0].id, 0) if free else 0
    alike = list(takewhile(lambda row: tried.get(row.id, 0) == attempts, free))
    return alike[: _limit_batch(limit, attempts)], attempts


def _insert_claims(connection: Connection, ids: Sequence[int], lease: dict[str, Any]) -> None:
    shared = [literal(lease[name], _CLAIMS.c[name].type) for name in lease]
    claims = select(_TABLE.c.id, *shared).where(is_one_of(connection, _TABLE.c.id, ids))
    connection.execute(insert(_CLAIMS).from_select(["sign_in_id", *lease], claims))


def _one_of_claims(connection: Connection, condition: Any) -> Any:
    """Look for claims without a lock, to name them by id: a search that locks what it passes could deadlock."""
    found = select(_CLAIMS.c.sign_in_id).where(condition).order_by(_CLAIMS.c.sign_in_id).limit(_MOST_CLAIMS)
    return is_one_of(connection, _CLAIMS.c.sign_in_id, list(connection.scalars(found)))


def _limit_batch(limit: int, attempts: int) -> int:
    """Say how many rows that were tried so often go together: fewer each time, so that one spoils it for few."""
    if attempts == MOST_ATTEMPTS - 1:
        return 1
    return limit if attempts >= MOST_ATTEMPTS else max(1, limit // 4**attempts)
