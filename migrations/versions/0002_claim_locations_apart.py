"""Keep the claims of sign-ins that wait for their location in a narrow table of their own."""

import sqlalchemy as sa
from alembic import op

from melody_logs.storage.columns import TABLE_OPTIONS, BigKey, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LOG = "melody_sign_in_log"
CLAIM = "melody_location_claim"
# MariaDB commits at each change of a table, so each step below asks what an earlier try has done.
LEASE = ("geo_lease_until", "geo_lease_owner")
# Tables, not names alone: only those follow the connection into the logs' schema.
log = sa.Table(
    LOG,
    sa.MetaData(),
    sa.Column("id", BigKey, primary_key=True),
    sa.Column("geo_state", sa.String(16)),
    sa.Column("geo_attempts", sa.Integer()),
    sa.Column("geo_lease_until", UtcDateTime()),
    sa.Column("geo_lease_owner", sa.String(36)),
)
claim = sa.Table(
    CLAIM,
    log.metadata,
    sa.Column("sign_in_id", BigKey, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.String(36)),
    sa.Column("lease_until", UtcDateTime()),
    sa.Column("attempts", sa.Integer()),
)


def upgrade() -> None:
    """Move owner, lease and attempts of the sign-ins that are held or wait out of the log."""
    op.create_table(
        CLAIM,
        sa.Column("sign_in_id", BigKey, autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(36), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sign_in_id", name=f"pk_{CLAIM}"),
        **TABLE_OPTIONS,
    )
    left = [name for name in LEASE if name in _columns()]
    if len(left) == len(LEASE):
        tried = (log.c.geo_state == "pending") & (log.c.geo_attempts > 0)
        moved = sa.exists().where(claim.c.sign_in_id == log.c.id)
        held = sa.select(log.c.id, log.c.geo_lease_owner, log.c.geo_lease_until, log.c.geo_attempts)
        held = held.where(tried | log.c.geo_lease_until.is_not(None), ~moved)
        op.execute(sa.insert(claim).from_select(["sign_in_id", "owner", "lease_until", "attempts"], held))
        op.execute(sa.update(log).where(tried).values(geo_attempts=0))
    # Not by a copy of the table, which would be long and would let the ids of deleted rows come again on SQLite.
    for name in left:
        op.drop_column(LOG, name, schema=_schema())


def downgrade() -> None:
    """Bring owner, lease and attempts back into the log."""
    present = _columns()
    for name in LEASE:
        if name not in present:
            op.add_column(LOG, sa.Column(name, log.c[name].type, nullable=True), schema=_schema())
    if not sa.inspect(op.get_bind()).has_table(CLAIM, schema=_schema()):
        return
    mine = claim.c.sign_in_id == log.c.id
    back = {
        log.c.geo_lease_owner: sa.select(claim.c.owner).where(mine).scalar_subquery(),
        log.c.geo_lease_until: sa.select(claim.c.lease_until).where(mine).scalar_subquery(),
        log.c.geo_attempts: sa.select(claim.c.attempts).where(mine).scalar_subquery(),
    }
    op.execute(sa.update(log).where(log.c.id.in_(sa.select(claim.c.sign_in_id))).values(back))
    op.drop_table(CLAIM)


def _columns() -> set[str]:
    """Name the columns that the log has now."""
    return {found["name"] for found in sa.inspect(op.get_bind()).get_columns(LOG, schema=_schema())}


def _schema() -> str | None:
    """Name the logs' schema, which an ALTER TABLE does not take from the connection."""
    config = op.get_context().config
    assert config is not None
    schema: str | None = config.attributes["schema"]
    return schema
