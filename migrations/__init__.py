"""The Alembic environment of the log tables, apart from the host's."""
