"""The tables of the logs: columns and indexes, nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Index, Integer, String, text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from ..vocabulary import Kind
from .client_models import Client as Client
from .client_models import ClientSecret as ClientSecret
from .client_models import SigningKey as SigningKey
from .columns import TABLE_OPTIONS, Base, BigKey, Degrees, LongText, partial_indexes
from .delivery_models import EarlyDelivery as EarlyDelivery
from .total_models import CountryTotal as CountryTotal
from .total_models import HourlyTotal as HourlyTotal
from .total_models import Total as Total

#: Without it, SQLite gives the id of a deleted newest row to the next one.
_IDS_ONLY_RISE = {"sqlite_autoincrement": True, **TABLE_OPTIONS}
_GEO_PENDING = text("geo_state = 'pending'")


class EntryColumns:
    """What each of the three logs has.

    ``id`` rises in commit order; ``position`` rises with each visible change of a row and ``version`` counts them.
    ``occurred_at`` is the host's clock, ``recorded_at`` and ``updated_at`` the database's; an imported row has the time
    of its source in both of the first two.
    """

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    event_id: Mapped[str] = mapped_column(String(36))
    position: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(Integer, default=1)
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    #: A number stays a number on the wire, so its being one is kept beside the text.
    user_id: Mapped[str | None] = mapped_column(String(255))
    user_id_is_integer: Mapped[bool] = mapped_column(Boolean, default=False)
    request_id: Mapped[str | None] = mapped_column(String(128))
    flow_id: Mapped[str | None] = mapped_column(String(128))
    endpoint: Mapped[str | None] = mapped_column(String(255))
    #: What was done to the entry before it was written, as words separated by spaces, such as ``content:cut``.
    marks: Mapped[str | None] = mapped_column(String(1024))
    stored_bytes: Mapped[int] = mapped_column(BigInteger, default=0)


class MessageColumns(EntryColumns):
    """A message: email or SMS. ``status`` is one of the vocabulary's; ``content_bytes`` the length before any cut."""

    status: Mapped[str] = mapped_column(String(16))
    receiver: Mapped[str | None] = mapped_column(String(320))
    subject: Mapped[str | None] = mapped_column(String(998))
    purpose: Mapped[str | None] = mapped_column(String(64))
    template: Mapped[str | None] = mapped_column(String(255))
    provider: Mapped[str | None] = mapped_column(String(64))
    provider_message_id: Mapped[str | None] = mapped_column(String(255))
    response: Mapped[str | None] = mapped_column(LongText)
    content: Mapped[str | None] = mapped_column(LongText)
    content_type: Mapped[str] = mapped_column(String(32), default="text/plain")
    content_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    #: What the provider reported later, oldest first: a JSON list of objects with ``status``, ``occurred_at``,
    #: ``detail``.
    delivery: Mapped[str | None] = mapped_column(LongText)

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        """Indexes: by event (amending), change order, age, and the sweep of pending rows."""
        return (
            Index(None, "event_id"),
            Index(None, "position"),
            Index(None, "recorded_at"),
            Index(None, "status", "recorded_at"),
            Index(None, "receiver", "id"),
            Index(None, "user_id", "id"),
            *partial_indexes(cls.__tablename__, "provider_message_id", "flow_id"),  # type: ignore[attr-defined]
            _IDS_ONLY_RISE,
        )


class EmailLog(MessageColumns, Base):
    """Outgoing email."""

    __tablename__ = "melody_email_log"


class SmsLog(MessageColumns, Base):
    """Outgoing text messages."""

    __tablename__ = "melody_sms_log"


class SignInLog(EntryColumns, Base):
    """Sign-in attempts and what belongs to them; ``geo_*`` says how the location was found, or was not.

    While it is being looked for, its lease and attempts lie in :class:`LocationClaim`: nine indexes make each change of
    this table dear.
    """

    __tablename__ = "melody_sign_in_log"

    event: Mapped[str] = mapped_column(String(32), default="sign_in")
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(64))
    method: Mapped[str | None] = mapped_column(String(64))
    identity: Mapped[str | None] = mapped_column(String(320))
    #: Keyed hash of the identity as typed, in lower case: finds the same identity where it was not kept.
    identity_hash: Mapped[str | None] = mapped_column(String(64))
    ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(512))
    referrer: Mapped[str | None] = mapped_column(String(1024))
    country: Mapped[str | None] = mapped_column(String(2))
    continent: Mapped[str | None] = mapped_column(String(2))
    region: Mapped[str | None] = mapped_column(String(128))
    region_code: Mapped[str | None] = mapped_column(String(16))
    city: Mapped[str | None] = mapped_column(String(128))
    timezone: Mapped[str | None] = mapped_column(String(64))
    latitude: Mapped[float | None] = mapped_column(Degrees)
    longitude: Mapped[float | None] = mapped_column(Degrees)
    asn: Mapped[int | None] = mapped_column(BigInteger)
    as_org: Mapped[str | None] = mapped_column(String(255))
    geo_state: Mapped[str] = mapped_column(String(16), default="pending")
    #: The database or header that answered, with its build date, such as ``GeoLite2-City 2026-09-01``.
    geo_source: Mapped[str | None] = mapped_column(String(64))
    #: How many it took, written with the result; a row that waits with one is looked at again.
    geo_attempts: Mapped[int] = mapped_column(Integer, default=0)
    #: How many attempts the row stands for, if it is a counted one; NULL for an attempt of its own.
    folded_count: Mapped[int | None] = mapped_column(BigInteger)
    #: When the last of them was; the first is ``occurred_at``.
    last_at: Mapped[datetime | None]
    #: Some that differ, as a JSON list of objects: ``occurred_at``, ``ip``, ``identity``, ``user_agent``, ``reason``,
    #: ``method``.
    samples: Mapped[str | None] = mapped_column(LongText)

    __table_args__ = (
        Index(None, "event_id"),
        Index(None, "position"),
        Index(None, "recorded_at"),
        Index("ix_melody_sign_in_log_event_then_id", "event", "id"),
        # The state comes first for MariaDB, which has no partial indexes.
        Index(
            "ix_melody_sign_in_log_geo_pending",
            *("geo_state", "id"),
            postgresql_where=_GEO_PENDING,
            sqlite_where=_GEO_PENDING,
        ),
        Index(None, "user_id", "id"),
        Index(None, "identity", "id"),
        Index(None, "ip", "id"),
        *partial_indexes("melody_sign_in_log", "flow_id"),
        _IDS_ONLY_RISE,
    )


class LocationClaim(Base):
    """A sign-in whose location somebody looks for, or looked for in vain: whose it is, until when, and which attempt.

    It goes with the result. Claims of sign-ins that were deleted meanwhile are swept: a foreign key would look at the
    wide rows, and lock them.
    """

    __tablename__ = "melody_location_claim"

    sign_in_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    owner: Mapped[str | None] = mapped_column(String(36))
    #: NULL when it was given back.
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer)


class SpoolProgress(Base):
    """How far the drain has written each spool, and an import each source: what makes a replay do nothing."""

    __tablename__ = "melody_spool_progress"

    spool: Mapped[str] = mapped_column(String(36), primary_key=True)
    last_entry: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[datetime]


class Position(Base):
    """The last position given out for a kind, raised under the write lock."""

    __tablename__ = "melody_position"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


class Job(Base):
    """One clean-up, by hand or by policy: its order, its progress and its receipt.

    ``active_kind`` is the kind while the job is queued or running and NULL after it; being unique, it allows one active
    job a kind on every database.
    """

    __tablename__ = "melody_job"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    action: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    active_kind: Mapped[str | None] = mapped_column(String(16), unique=True)
    state: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(255))
    policy: Mapped[str | None] = mapped_column(String(255))
    cutoff: Mapped[datetime]
    #: The end of the windows; what is as old and lies above is deleted after them.
    last_id: Mapped[int] = mapped_column(BigInteger)
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    total_rows: Mapped[int] = mapped_column(BigInteger)
    done_rows: Mapped[int] = mapped_column(BigInteger, default=0)
    done_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    oldest_at: Mapped[datetime | None]
    newest_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    duration_milliseconds: Mapped[int] = mapped_column(BigInteger, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    lease_until: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(36))
    error: Mapped[str | None] = mapped_column(String(1024))

    __table_args__ = (Index(None, "kind", "id"), _IDS_ONLY_RISE)


class Heartbeat(Base):
    """When a part of the system last worked (``worker``, ``beat``, ``retention``), for ``health`` and the pages."""

    __tablename__ = "melody_heartbeat"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen_at: Mapped[datetime]
    detail: Mapped[str | None] = mapped_column(String(1024))


class Gap(Base):
    """Entries that could be kept nowhere, or were lost to an error of ours: how many of a kind, and when."""

    __tablename__ = "melody_gap"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=True)
    spool: Mapped[str] = mapped_column(String(36))
    kind: Mapped[str] = mapped_column(String(16))
    lost: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


MODELS: dict[Kind, type[EmailLog] | type[SmsLog] | type[SignInLog]] = {
    "email": EmailLog,
    "sms": SmsLog,
    "sign-in": SignInLog,
}
#: Every table of ours.
METADATA = Base.metadata
#: The logs as Core tables, which is how storage speaks to the database.
TABLES: dict[Kind, Any] = {kind: model.__table__ for kind, model in MODELS.items()}
