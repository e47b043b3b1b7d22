"""How far each spool has been written, what was lost, and who is alive: small rows beside the logs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite

from ..vocabulary import Kind
from .columns import Base
from .models import Gap, Heartbeat, SpoolProgress

#: A progress row outlives its spool file by this: a copy of the file restored from a backup is not written again.
PROGRESS_KEPT_DAYS = 90
#: Losses of a process that are no further apart are one gap.
ONE_GAP = timedelta(minutes=10)
#: No spool is named so: they have UUIDs.
_IMPORT_PREFIX = "import:"
_SPOOL_LENGTH = 36


class GapCount(NamedTuple):
    """Entries of a kind that were lost between two instants (aware, the host's clock)."""

    kind: str
    lost: int
    first_at: datetime
    last_at: datetime


def read_progress(connection: Connection, spool: str) -> int:
    """Read the number of the last entry of *spool* that was written; 0 if none was."""
    last = connection.scalar(select(SpoolProgress.last_entry).where(SpoolProgress.spool == spool))
    return last or 0


def advance_progress(connection: Connection, spool: str, last_entry: int, now: datetime) -> None:
    """Say that *spool* is written up to *last_entry*; call it in the transaction that writes the entries."""
    _upsert(connection, SpoolProgress, {"spool": spool}, {"last_entry": last_entry, "updated_at": now})


def forget_old_progress(connection: Connection, now: datetime) -> int:
    """Delete the rows of spools that nothing has moved for ``PROGRESS_KEPT_DAYS``; return how many they were."""
    oldest = now - timedelta(days=PROGRESS_KEPT_DAYS)
    old = delete(SpoolProgress).where(SpoolProgress.updated_at < oldest)
    return connection.execute(old.where(SpoolProgress.spool.not_like(f"{_IMPORT_PREFIX}%"))).rowcount


def name_import_mark(kind: Kind, event_id: str) -> str:
    """Name the place in a source that the row of *event_id* is at."""
    return f"{_IMPORT_PREFIX}{kind}:{event_id.replace('-', '')}"[:_SPOOL_LENGTH]


def read_import_marks(connection: Connection, kind: Kind) -> dict[str, int]:
    """Read how far sources were imported: names of their last rows, with the ids that these have in the source.

    They are never forgotten: rows that were imported, and cleaned up since, would come back.
    """
    marks = select(SpoolProgress.spool, SpoolProgress.last_entry)
    found = connection.execute(marks.where(SpoolProgress.spool.like(f"{_IMPORT_PREFIX}{kind}:%")))
    return {mark: last_id for mark, last_id in found}


def move_import_mark(connection: Connection, before: str | None, mark: str, last_id: int, now: datetime) -> None:
    """Put *mark* in the place of the mark *before*; call it in the transaction that writes the rows."""
    if before is not None:
        connection.execute(delete(SpoolProgress).where(SpoolProgress.spool == before))
    advance_progress(connection, mark, last_id, now)


def write_gaps(connection: Connection, now: datetime, spool: str, gaps: Iterable[GapCount]) -> None:
    """Write what *spool* lost: the last gap of a kind goes on if no more than ten minutes were without a loss.

    So an error that loses each entry makes no row a second. A gap that is there (same kind and last instant) was told
    by a commit whose answer was lost, and is not added again.
    """
    of_spool = select(Gap.id, Gap.kind, Gap.last_at).where(Gap.spool == spool).order_by(Gap.id)
    newest = {row.kind: row for row in connection.execute(of_spool)}
    for gap in gaps:
        before = newest.get(gap.kind)
        if before is not None and gap.last_at == before.last_at:
            continue
        if before is not None and timedelta(0) <= gap.first_at - before.last_at <= ONE_GAP:
            longer = {"lost": Gap.lost + gap.lost, "last_at": gap.last_at, "recorded_at": now}
            connection.execute(update(Gap).where(Gap.id == before.id).values(longer))
        else:
            connection.execute(insert(Gap).values(**gap._asdict(), spool=spool, recorded_at=now))


def sum_gaps(connection: Connection) -> list[GapCount]:
    """Add up what was lost, kind by kind, from the first to the last instant."""
    lost = select(Gap.kind, func.sum(Gap.lost), func.min(Gap.first_at), func.max(Gap.last_at))
    return [
        GapCount(kind, int(count), first_at, last_at)
        for kind, count, first_at, last_at in connection.execute(lost.group_by(Gap.kind).order_by(Gap.kind))
    ]


def list_gaps(connection: Connection, limit: int) -> list[GapCount]:
    """List the newest *limit* gaps."""
    gaps = select(Gap.kind, Gap.lost, Gap.first_at, Gap.last_at).order_by(Gap.id.desc()).limit(limit)
    return [GapCount(*row) for row in connection.execute(gaps)]


def find_last_drain(connection: Connection) -> datetime | None:
    """Read when a spool of any process or machine was last written to the tables; None if none was."""
    moment = select(func.max(SpoolProgress.updated_at)).where(SpoolProgress.spool.not_like(f"{_IMPORT_PREFIX}%"))
    return connection.scalar(moment)


def read_heartbeats(connection: Connection) -> dict[str, datetime]:
    """Read when each part of the system last worked."""
    return {name: seen_at for name, seen_at in connection.execute(select(Heartbeat.name, Heartbeat.seen_at))}


def note_heartbeat(connection: Connection, name: str, now: datetime, detail: str | None = None) -> None:
    """Say that the part *name* of the system works; *detail* is at most 1024 characters."""
    _upsert(connection, Heartbeat, {"name": name}, {"seen_at": now, "detail": detail and detail[:1024]})


def _upsert(connection: Connection, model: type[Base], key: dict[str, Any], values: dict[str, Any]) -> None:
    if connection.dialect.name in ("mysql", "mariadb"):
        mysql_statement = mysql.insert(model).values(**key, **values)
        connection.execute(mysql_statement.on_duplicate_key_update(**values))
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(model).values(**key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))
