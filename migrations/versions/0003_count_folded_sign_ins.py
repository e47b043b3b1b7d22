"""Let one row stand for many failed sign-ins alike: how many, until when, and some samples."""

import sqlalchemy as sa
from alembic import op

from melody_logs.storage.columns import LongText, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LOG = "melody_sign_in_log"
NEW = (
    sa.Column("folded_count", sa.BigInteger()),
    sa.Column("last_at", UtcDateTime()),
    sa.Column("samples", LongText),
)


def upgrade() -> None:
    """Add the columns, empty: no row is written anew."""
    there = _find_columns()
    for new in NEW:
        if new.name not in there:
            op.add_column(LOG, sa.Column(new.name, new.type, nullable=True), schema=_schema())


def downgrade() -> None:
    """Drop the columns; a counted row then looks like one attempt."""
    there = _find_columns()
    for new in NEW:
        if new.name in there:
            op.drop_column(LOG, new.name, schema=_schema())


def _find_columns() -> set[str]:
    """Name the columns that the log has.

    MariaDB commits after each change of a table: a migration that broke off goes on where it was.
    """
    return {found["name"] for found in sa.inspect(op.get_bind()).get_columns(LOG, schema=_schema())}


def _schema() -> str | None:
    """Name the logs' schema, which an ALTER TABLE does not take from the connection."""
    config = op.get_context().config
    assert config is not None
    schema: str | None = config.attributes["schema"]
    return schema
