"""``flask melody-logs db ...``: the tables of the logs."""

from __future__ import annotations

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from ..state import state_of
from ..storage import schema
from ..storage.destination import show_url
from .output import explain_errors, print_line


def upgrade_tables(app: Flask, revision: str = "head") -> None:
    """Bring the log tables of *app* to *revision*."""
    schema.upgrade(state_of(app).database, revision)


@click.group("db", help="Create and upgrade the log tables; the host's own migrations are not involved.")
def database_group() -> None:
    """Group the commands of the tables."""


@database_group.command("upgrade")
@click.argument("revision", default="head")
@with_appcontext
@explain_errors
def upgrade_command(revision: str) -> None:
    """Bring the log tables to the newest version, or to REVISION."""
    state = state_of()
    before = schema.current_revision(state.database)
    upgrade_tables(current_app, revision)
    after = schema.current_revision(state.database)
    shown = show_url(state.database.url)
    if before == after:
        print_line(f"The log tables are at version {after} already ({shown}).")
    else:
        print_line(f"The log tables went from {f'version {before}' if before else 'nothing'} to {after} ({shown}).")


@database_group.command("downgrade")
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
@explain_errors
def downgrade_command(revision: str, yes: bool) -> None:
    """Take the log tables back to REVISION; "base" removes them with all rows."""
    if not yes:
        click.confirm(f'Go back to "{revision}"? Rows and columns that it does not have are lost for good', abort=True)
    schema.downgrade(state_of().database, revision)
    print_line(f"The log tables are at version {schema.current_revision(state_of().database) or 'nothing'}.")


@database_group.command("current")
@with_appcontext
@explain_errors
def current_command() -> None:
    """Say which version the log tables have; the exit code is 1 if it is not the newest."""
    current, head = schema.current_revision(state_of().database), schema.head_revision()
    print_line(f"The log tables are at version {current or 'nothing'}; the newest is {head}.")
    if current != head:
        raise click.exceptions.Exit(1)
