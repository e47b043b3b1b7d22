"""Create the log tables, their totals, jobs, and the API's clients and keys."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from melody_logs.storage.columns import TABLE_OPTIONS, BigKey, Degrees, LongText, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    *("email_log", "sms_log", "sign_in_log"),
    *("spool_progress", "position", "total", "hourly_total", "country_total"),
    *("job", "heartbeat", "gap"),
    *("client", "client_secret", "signing_key"),
)
GEO_PENDING = sa.text("geo_state = 'pending'")


def upgrade() -> None:
    """Create every table of the first version."""
    for name in ("melody_email_log", "melody_sms_log"):
        _create_message_log(name)
    _create_sign_in_log()
    _create_counters()
    _create_job()
    _create_health()
    _create_clients()


def downgrade() -> None:
    """Remove every table, with all that is in it."""
    for name in TABLES:
        op.drop_table(f"melody_{name}")


def _column(name: str, kind: Any, *, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, **options)


def _id() -> sa.Column[Any]:
    return _column("id", BigKey, autoincrement=True)


def _entry_columns() -> list[sa.Column[Any]]:
    return [
        _id(),
        _column("event_id", sa.String(36)),
        _column("position", sa.BigInteger()),
        _column("version", sa.Integer()),
        _column("occurred_at", UtcDateTime()),
        _column("recorded_at", UtcDateTime()),
        _column("updated_at", UtcDateTime()),
        _column("user_id", sa.String(255), nullable=True),
        _column("user_id_is_integer", sa.Boolean()),
        _column("request_id", sa.String(128), nullable=True),
        _column("flow_id", sa.String(128), nullable=True),
        _column("endpoint", sa.String(255), nullable=True),
        _column("marks", sa.String(1024), nullable=True),
        _column("stored_bytes", sa.BigInteger()),
    ]


def _create_table(name: str, *columns: Any, key: tuple[str, ...] = ("id",), **options: Any) -> None:
    options |= TABLE_OPTIONS
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"), **options)


def _create_indexes(table: str, *indexes: tuple[str, ...]) -> None:
    for columns in indexes:
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _create_message_log(name: str) -> None:
    _create_table(
        name,
        *_entry_columns(),
        _column("status", sa.String(16)),
        _column("receiver", sa.String(320), nullable=True),
        _column("subject", sa.String(998), nullable=True),
        _column("purpose", sa.String(64), nullable=True),
        _column("template", sa.String(255), nullable=True),
        _column("provider", sa.String(64), nullable=True),
        _column("provider_message_id", sa.String(255), nullable=True),
        _column("response", LongText, nullable=True),
        _column("content", LongText, nullable=True),
        _column("content_type", sa.String(32)),
        _column("content_bytes", sa.BigInteger()),
        sqlite_autoincrement=True,
    )
    _create_indexes(
        name,
        ("event_id",),
        ("position",),
        ("recorded_at",),
        ("status", "recorded_at"),
        ("receiver", "id"),
        ("user_id", "id"),
    )


def _create_sign_in_log() -> None:
    name = "melody_sign_in_log"
    _create_table(
        name,
        *_entry_columns(),
        _column("event", sa.String(32)),
        _column("outcome", sa.String(16)),
        _column("reason", sa.String(64), nullable=True),
        _column("method", sa.String(64), nullable=True),
        _column("identity", sa.String(320), nullable=True),
        _column("identity_hash", sa.String(64), nullable=True),
        _column("ip", sa.String(45), nullable=True),
        _column("user_agent", sa.String(512), nullable=True),
        _column("referrer", sa.String(1024), nullable=True),
        *_location_columns(),
        sqlite_autoincrement=True,
    )
    _create_indexes(name, ("event_id",), ("position",), ("recorded_at",))
    _create_indexes(name, ("user_id", "id"), ("identity", "id"), ("ip", "id"))
    op.create_index(f"ix_{name}_event_then_id", name, ["event", "id"])
    op.create_index(
        f"ix_{name}_geo_pending", name, ["geo_state", "id"], postgresql_where=GEO_PENDING, sqlite_where=GEO_PENDING
    )


def _location_columns() -> list[sa.Column[Any]]:
    return [
        _column("country", sa.String(2), nullable=True),
        _column("continent", sa.String(2), nullable=True),
        _column("region", sa.String(128), nullable=True),
        _column("region_code", sa.String(16), nullable=True),
        _column("city", sa.String(128), nullable=True),
        _column("timezone", sa.String(64), nullable=True),
        _column("latitude", Degrees, nullable=True),
        _column("longitude", Degrees, nullable=True),
        _column("asn", sa.BigInteger(), nullable=True),
        _column("as_org", sa.String(255), nullable=True),
        _column("geo_state", sa.String(16)),
        _column("geo_source", sa.String(64), nullable=True),
        _column("geo_attempts", sa.Integer()),
        _column("geo_lease_until", UtcDateTime(), nullable=True),
        _column("geo_lease_owner", sa.String(36), nullable=True),
    ]


def _create_counters() -> None:
    _create_table(
        "melody_spool_progress",
        _column("spool", sa.String(36)),
        _column("last_entry", sa.BigInteger()),
        _column("updated_at", UtcDateTime()),
        key=("spool",),
    )
    _create_table("melody_position", _column("kind", sa.String(16)), _column("value", sa.BigInteger()), key=("kind",))
    words = (("event", 32), ("outcome", 16))
    for name, first in (
        ("melody_total", [_column("kind", sa.String(16))]),
        ("melody_hourly_total", [_column("kind", sa.String(16)), _column("hour", UtcDateTime())]),
        ("melody_country_total", [_column("day", UtcDateTime()), _column("country", sa.String(2))]),
    ):
        keys = [*first, *(_column(word, sa.String(length)) for word, length in words)]
        counters = [_column("row_count", sa.BigInteger())]
        if name != "melody_country_total":
            counters.append(_column("byte_count", sa.BigInteger()))
        _create_table(name, *keys, *counters, key=tuple(column.name for column in keys))


def _create_job() -> None:
    _create_table(
        "melody_job",
        _id(),
        _column("action", sa.String(16)),
        _column("kind", sa.String(16)),
        _column("active_kind", sa.String(16), nullable=True),
        _column("state", sa.String(16)),
        _column("actor", sa.String(255)),
        _column("policy", sa.String(255), nullable=True),
        _column("cutoff", UtcDateTime()),
        _column("last_id", sa.BigInteger()),
        _column("cursor", sa.BigInteger()),
        _column("total_rows", sa.BigInteger()),
        _column("done_rows", sa.BigInteger()),
        _column("done_bytes", sa.BigInteger()),
        *(_column(f"{word}_at", UtcDateTime(), nullable=True) for word in ("oldest", "newest")),
        _column("created_at", UtcDateTime()),
        *(_column(f"{word}_at", UtcDateTime(), nullable=True) for word in ("started", "finished")),
        _column("duration_milliseconds", sa.BigInteger()),
        _column("attempts", sa.Integer()),
        _column("lease_until", UtcDateTime(), nullable=True),
        _column("lease_owner", sa.String(36), nullable=True),
        _column("error", sa.String(1024), nullable=True),
        sa.UniqueConstraint("active_kind", name="uq_melody_job_active_kind"),
        sqlite_autoincrement=True,
    )
    _create_indexes("melody_job", ("kind", "id"))


def _create_health() -> None:
    _create_table(
        "melody_heartbeat",
        _column("name", sa.String(64)),
        _column("seen_at", UtcDateTime()),
        _column("detail", sa.String(1024), nullable=True),
        key=("name",),
    )
    _create_table(
        "melody_gap",
        _id(),
        _column("spool", sa.String(36)),
        _column("kind", sa.String(16)),
        _column("lost", sa.BigInteger()),
        _column("first_at", UtcDateTime()),
        _column("last_at", UtcDateTime()),
        _column("recorded_at", UtcDateTime()),
    )


def _create_clients() -> None:
    _create_table(
        "melody_client",
        _id(),
        _column("client_id", sa.String(48)),
        _column("name", sa.String(255)),
        _column("scope", sa.String(255)),
        _column("created_at", UtcDateTime()),
        _column("disabled_at", UtcDateTime(), nullable=True),
        _column("last_used_at", UtcDateTime(), nullable=True),
        sa.UniqueConstraint("client_id", name="uq_melody_client_client_id"),
    )
    _create_table(
        "melody_client_secret",
        _id(),
        _column("client_id", sa.String(48)),
        _column("secret_hash", sa.String(128)),
        _column("created_at", UtcDateTime()),
        _column("expires_at", UtcDateTime(), nullable=True),
    )
    _create_indexes("melody_client_secret", ("client_id",))
    _create_table(
        "melody_signing_key",
        _column("kid", sa.String(64)),
        _column("algorithm", sa.String(16)),
        _column("public_jwk", sa.Text()),
        _column("encrypted_private_jwk", sa.Text()),
        _column("created_at", UtcDateTime()),
        _column("retired_at", UtcDateTime(), nullable=True),
        key=("kid",),
    )
