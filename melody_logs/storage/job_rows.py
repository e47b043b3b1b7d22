"""The rows of jobs: one order and receipt for every clean-up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from ..vocabulary import Kind
from .database import Database
from .models import Job

_TABLE: Any = Job.__table__
ACTIVE_STATES = ("queued", "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job as it stands in the table; times are UTC, ``cutoff`` compares with ``recorded_at``."""

    id: int
    action: str
    kind: Kind
    state: str
    actor: str
    policy: str | None
    cutoff: datetime
    last_id: int
    cursor: int
    total_rows: int
    done_rows: int
    done_bytes: int
    oldest_at: datetime | None
    newest_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_milliseconds: int
    attempts: int
    lease_until: datetime | None
    lease_owner: str | None
    error: str | None

    @property
    def is_active(self) -> bool:
        """Say whether the job still has work to do."""
        return self.state in ACTIVE_STATES

    @property
    def percent(self) -> int:
        """How much is done, from 0 to 100."""
        if not self.is_active and self.state == "finished":
            return 100
        return min(99, self.done_rows * 100 // self.total_rows) if self.total_rows else 0


_COLUMNS = [_TABLE.c[name] for name in JobRow.__dataclass_fields__]


def find_job(database: Database, job_id: int) -> JobRow | None:
    """Read one job; None if there is none."""
    if not 0 < job_id < 2**63:
        return None
    with database.read() as connection:
        return _one(connection, _TABLE.c.id == job_id)


def find_active_job(database: Database, kind: Kind) -> JobRow | None:
    """Read the active job of a kind; None if there is none."""
    with database.read() as connection:
        return _one(connection, _TABLE.c.active_kind == kind)


def list_jobs(database: Database, *, kind: Kind | None = None, limit: int = 20) -> list[JobRow]:
    """List the newest *limit* jobs, of one kind or of all."""
    statement = select(*_COLUMNS).order_by(_TABLE.c.id.desc()).limit(limit)
    if kind is not None:
        statement = statement.where(_TABLE.c.kind == kind)
    with database.read() as connection:
        return [JobRow(**row._mapping) for row in connection.execute(statement)]


def list_active_jobs(database: Database) -> list[JobRow]:
    """List the jobs that still have work to do, oldest first."""
    statement = select(*_COLUMNS).where(_TABLE.c.active_kind.is_not(None)).order_by(_TABLE.c.id)
    with database.read() as connection:
        return [JobRow(**row._mapping) for row in connection.execute(statement)]


def find_last_policy_run(connection: Connection) -> JobRow | None:
    """Read the newest job that a retention policy made for any kind."""
    return _one(
        connection, _TABLE.c.id == select(func.max(_TABLE.c.id)).where(_TABLE.c.policy.is_not(None)).scalar_subquery()
    )


def last_policy_run(database: Database, kind: Kind) -> JobRow | None:
    """Read the newest job that a retention policy made for a kind."""
    newest = select(*_COLUMNS).where(_TABLE.c.kind == kind, _TABLE.c.policy.is_not(None))
    with database.read() as connection:
        row = connection.execute(newest.order_by(_TABLE.c.id.desc()).limit(1)).first()
    return JobRow(**row._mapping) if row else None


def add_job(database: Database, values: dict[str, Any], *, attempts: int = 3) -> JobRow:
    """Add a job and return it; if its kind has an active job already, return that one.

    :raise IntegrityError: if it is refused *attempts* times although there is no active job.
    """
    try:
        with database.transaction() as connection:
            key: Any = connection.execute(insert(_TABLE).values(values)).inserted_primary_key
            job_id = key[0]
            added = _one(connection, _TABLE.c.id == job_id)
            assert added is not None
            return added
    except IntegrityError:
        active = find_active_job(database, values["kind"])
        if active is not None:
            return active
        if attempts <= 1:
            raise
    # The other one ended between the two statements: there is room now.
    return add_job(database, values, attempts=attempts - 1)


def lease_job(database: Database, job_id: int, owner: str, lease_seconds: int) -> JobRow | None:
    """Take an active job for *owner*; None if it is finished or somebody else works on it."""
    with database.transaction() as connection:
        now = database.now(connection)
        taken = (
            update(_TABLE)
            .where(_TABLE.c.id == job_id, _TABLE.c.active_kind.is_not(None))
            .where(or_(_TABLE.c.lease_until.is_(None), _TABLE.c.lease_until < now))
        )
        values: dict[str, Any] = {
            "state": "running",
            "lease_owner": owner,
            "lease_until": now + timedelta(seconds=lease_seconds),
        }
        if connection.execute(taken.values(values)).rowcount == 0:
            return None
        connection.execute(
            update(_TABLE).where(_TABLE.c.id == job_id, _TABLE.c.started_at.is_(None)).values(started_at=now)
        )
        return _one(connection, _TABLE.c.id == job_id)


def update_job(connection: Connection, job_id: int, owner: str, values: dict[str, Any]) -> bool:
    """Change a job that *owner* holds; False if the lease has gone to somebody else."""
    held = update(_TABLE).where(_TABLE.c.id == job_id, _TABLE.c.lease_owner == owner)
    return bool(connection.execute(held.values(values)).rowcount)


def _one(connection: Connection, condition: Any) -> JobRow | None:
    row = connection.execute(select(*_COLUMNS).where(condition)).first()
    return JobRow(**row._mapping) if row else None
