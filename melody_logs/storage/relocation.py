"""Setting located sign-ins back, to be looked at again; what they have stays until something better comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, func, or_, select, update

from .database import Database
from .locations import SET_BACK
from .models import HourlyTotal, SignInLog
from .progress import note_heartbeat
from .rows import is_one_of
from .totals import hour_of

_TABLE: Any = SignInLog.__table__
_LOOKED_UP = ("done", "not_found", "failed")


class Place(NamedTuple):
    """How far the log has been gone through, by ``recorded_at`` and id."""

    recorded_at: datetime
    id: int


class Window(NamedTuple):
    """What was done with some rows: how many were looked at and set back, and the last one; None at the end."""

    scanned: int
    set_back: int
    last: Place | None


def set_back_window(
    database: Database,
    *,
    since: datetime,
    until: datetime,
    after: Place | None,
    limit: int,
    wants: Callable[[str | None], bool],
) -> Window:
    """Let the next *limit* sign-ins recorded from *since* to before *until* wait for their location again.

    Those that wait already, have no public address, or whose source is not wanted are passed over. A location that a
    row has stays in it, so nobody who reads the log sees a change: position, version and ``updated_at`` stay too.

    :param wants: gets the source of a row's location, None where none was found.
    """
    with database.write() as connection:
        rows = _read_window(connection, since, until, after, limit)
        chosen = [row for row in rows if row.geo_state in _LOOKED_UP and wants(row.geo_source)]
        located = [row.id for row in chosen if row.geo_state == "done"]
        others = [row.id for row in chosen if row.geo_state != "done"]
        # A source says that there is a location to keep.
        count = _set_back(connection, located, {}) + _set_back(connection, others, {"geo_source": None})
        if count:
            note_heartbeat(connection, SET_BACK, database.now(connection))
    last = Place(rows[-1].recorded_at, rows[-1].id) if rows else None
    return Window(len(rows), count, last)


def count_between(database: Database, since: datetime, until: datetime) -> int:
    """Count the sign-ins recorded from *since* to *until*, by whole hours."""
    totals: Any = HourlyTotal.__table__
    within = and_(totals.c.kind == "sign-in", totals.c.hour >= hour_of(since), totals.c.hour <= until)
    with database.read() as connection:
        return int(connection.scalar(select(func.sum(totals.c.row_count)).where(within)) or 0)


def _read_window(
    connection: Connection, since: datetime, until: datetime, after: Place | None, limit: int
) -> Sequence[Row[Any]]:
    """Read the next rows by the index on ``recorded_at``: imported rows are older than their ids say."""
    moment, row_id = _TABLE.c.recorded_at, _TABLE.c.id
    within = [moment >= (after.recorded_at if after else since), moment < until]
    if after is not None:
        within.append(or_(moment > after.recorded_at, row_id > after.id))
    wanted = select(row_id, moment, _TABLE.c.geo_state, _TABLE.c.geo_source).where(*within)
    return connection.execute(wanted.order_by(moment, row_id).limit(limit)).all()


def _set_back(connection: Connection, ids: Sequence[int], more: dict[str, Any]) -> int:
    if not ids:
        return 0
    looked_up = update(_TABLE).where(is_one_of(connection, _TABLE.c.id, ids), _TABLE.c.geo_state.in_(_LOOKED_UP))
    # The attempt that it had tells it from one that was never looked at.
    return connection.execute(looked_up.values(geo_state="pending", geo_attempts=1, **more)).rowcount
