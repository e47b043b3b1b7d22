"""Runs our migrations on the connection that :mod:`melody_logs.storage.schema` passes in."""

from alembic import context

from melody_logs.storage.columns import VERSION_TABLE
from melody_logs.storage.models import METADATA

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    version_table_schema=attributes["schema"],
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
