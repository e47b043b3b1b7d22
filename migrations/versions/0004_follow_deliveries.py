"""Keep what providers report of a message, and find entries by the provider's id and by their flow."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from melody_logs.storage.columns import TABLE_OPTIONS, BigKey, LongText, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MESSAGES = ("melody_email_log", "melody_sms_log")
EARLY = "melody_early_delivery"
INDEXED = (
    *((table, name) for table in MESSAGES for name in ("provider_message_id", "flow_id")),
    ("melody_sign_in_log", "flow_id"),
)


def upgrade() -> None:
    """Add the column, empty, the indexes of what is not empty, and the table of reports that came early.

    MariaDB commits after each change of a table: a migration that broke off goes on where it was.
    """
    inspector = sa.inspect(op.get_bind())
    for table in MESSAGES:
        if "delivery" not in {column["name"] for column in inspector.get_columns(table, schema=_schema())}:
            op.add_column(table, sa.Column("delivery", LongText, nullable=True), schema=_schema())
    for table, name in INDEXED:
        filled = sa.text(f"{name} IS NOT NULL")
        _add_index(table, name, postgresql_where=filled, sqlite_where=filled)
    if not inspector.has_table(EARLY, schema=_schema()):
        _create_early_deliveries()
    for name in ("provider_message_id", "recorded_at"):
        _add_index(EARLY, name)


def downgrade() -> None:
    """Drop them; what providers reported is gone."""
    inspector = sa.inspect(op.get_bind())
    if inspector.has_table(EARLY, schema=_schema()):
        op.drop_table(EARLY)
    for table, name in INDEXED:
        if _index(table, name) in _find_indexes(table):
            op.drop_index(_index(table, name), table, schema=_schema())
    for table in MESSAGES:
        if "delivery" in {column["name"] for column in inspector.get_columns(table, schema=_schema())}:
            op.drop_column(table, "delivery", schema=_schema())


def _create_early_deliveries() -> None:
    op.create_table(
        EARLY,
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("provider_message_id", sa.String(255), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("detail", sa.String(1024), nullable=True),
        sa.Column("receiver", sa.String(320), nullable=True),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{EARLY}"),
        **TABLE_OPTIONS,
    )


def _add_index(table: str, name: str, **options: Any) -> None:
    if _index(table, name) not in _find_indexes(table):
        op.create_index(_index(table, name), table, [name], schema=_schema(), **options)


def _find_indexes(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table, schema=_schema())}


def _index(table: str, name: str) -> str:
    return f"ix_{table}_{name}"


def _schema() -> str | None:
    """Name the logs' schema, which an ALTER TABLE does not take from the connection."""
    config = op.get_context().config
    assert config is not None
    schema: str | None = config.attributes["schema"]
    return schema
