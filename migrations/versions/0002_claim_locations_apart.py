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


LEASE = (sa.Column("geo_lease_owner", sa.String(36)), sa.Column("geo_lease_until", UtcDateTime()))


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
    there = _find_lease_columns()
    if len(there) == len(LEASE):
        _move_claims_out()
    # Not by a copy of the table, which would be long and would let the ids of deleted rows come again on SQLite.
    for name in there:
        op.drop_column(LOG, name, schema=_schema())


def downgrade() -> None:
    """Bring owner, lease and attempts back into the log."""
    there = _find_lease_columns()
    for new in LEASE:
        if new.name not in there:
            op.add_column(LOG, sa.Column(new.name, new.type, nullable=True), schema=_schema())
    if sa.inspect(op.get_bind()).has_table(CLAIM, schema=_schema()):
        _move_claims_back()
        op.drop_table(CLAIM)


def _find_lease_columns() -> list[str]:
    """List the columns of the lease that the log has.

    MariaDB commits after each change of a table: a migration that broke off goes on where it was.
    """
    present = {found["name"] for found in sa.inspect(op.get_bind()).get_columns(LOG, schema=_schema())}
    return [lease.name for lease in LEASE if lease.name in present]


def _move_claims_out() -> None:
    tried = (log.c.geo_state == "pending") & (log.c.geo_attempts > 0)
    held = sa.select(log.c.id, log.c.geo_lease_owner, log.c.geo_lease_until, log.c.geo_attempts)
    held = held.where(tried | log.c.geo_lease_until.is_not(None))
    held = held.where(log.c.id.not_in(sa.select(claim.c.sign_in_id)))
    op.execute(sa.insert(claim).from_select(["sign_in_id", "owner", "lease_until", "attempts"], held))
    op.execute(sa.update(log).where(tried).values(geo_attempts=0))


def _move_claims_back() -> None:
    mine = claim.c.sign_in_id == log.c.id
    back = {
        log.c.geo_lease_owner: sa.select(claim.c.owner).where(mine).scalar_subquery(),
        log.c.geo_lease_until: sa.select(claim.c.lease_until).where(mine).scalar_subquery(),
        log.c.geo_attempts: sa.select(claim.c.attempts).where(mine).scalar_subquery(),
    }
    op.execute(sa.update(log).where(log.c.id.in_(sa.select(claim.c.sign_in_id))).values(back))


def _schema() -> str | None:
    """Name the logs' schema, which an ALTER TABLE does not take from the connection."""
    config = op.get_context().config
    assert config is not None
    schema: str | None = config.attributes["schema"]
    return schema
