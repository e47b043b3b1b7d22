"""``flask melody-logs client ...``: the programs that may call the API."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta

import click
from flask.cli import with_appcontext
from rich.table import Table

from ..clients.registry import NewClient, create_client, disable_client, list_clients, rotate_secret
from ..state import state_of
from ..vocabulary import SCOPES
from .output import console, explain_errors, print_line, visible

_JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print client_id, client_secret and scope as JSON.")


@click.group("client", help="Programs that may call the API: create them, change their secrets, shut them out.")
def client() -> None:
    """Group the commands of the clients."""


@client.command("create")
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, required=True, help=f"What it may do: {', '.join(SCOPES)}; repeatable."
)
@_JSON_OPTION
@with_appcontext
@explain_errors
def create_command(name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Create the client NAME and show its secret, this once."""
    split = [scope for given in scopes for scope in given.split()]
    state = state_of()
    # Without a key no token could ever be signed: say so before a secret is shown.
    state.derive_key("signing-keys")
    _show(create_client(state.database, name, split), as_json)


@client.command("list")
@with_appcontext
@explain_errors
def list_command() -> None:
    """List the clients; secrets are not shown."""
    rows = list_clients(state_of().database)
    if not rows:
        print_line("There are no clients: flask melody-logs client create NAME --scope root")
        return
    table = Table(box=None, header_style="bold")
    table.add_column("Client id", no_wrap=True)
    table.add_column("Name", overflow="fold")
    table.add_column("Scope", overflow="fold")
    for title in ("Created", "Last used", "State"):
        table.add_column(title, no_wrap=True)
    for row in rows:
        state = "disabled" if row.disabled_at else f"{row.secrets} secret{'' if row.secrets == 1 else 's'}"
        days = _show_day(row.created_at), _show_day(row.last_used_at)
        table.add_row(row.client_id, visible(row.name), row.scope, *days, state)
    console().print(table)


@client.command("rotate")
@click.argument("client_id")
@click.option(
    "--grace-hours", type=click.FloatRange(0, 24 * 366), default=24, show_default=True, help="Life of the old secret."
)
@_JSON_OPTION
@with_appcontext
@explain_errors
def rotate_command(client_id: str, grace_hours: float, as_json: bool) -> None:
    """Give CLIENT_ID a new secret; the old one works for some hours more."""
    _show(rotate_secret(state_of().database, client_id, grace=timedelta(hours=grace_hours)), as_json)


@client.command("disable")
@click.argument("client_id")
@with_appcontext
@explain_errors
def disable_command(client_id: str) -> None:
    """Refuse CLIENT_ID from now on; tokens that it has end within a minute."""
    disable_client(state_of().database, client_id)
    print_line(f'The client "{client_id}" is disabled; tokens that it has end within a minute.')


def _show(made: NewClient, as_json: bool) -> None:
    if as_json:
        print_line(json.dumps(dataclasses.asdict(made)))
        return
    print_line(f"client_id      {made.client_id}")
    print_line(f"client_secret  {made.client_secret}")
    print_line(f"scope          {made.scope}")
    print_line("The secret is not stored and cannot be shown again.")


def _show_day(moment: datetime | None) -> str:
    return "never" if moment is None else moment.strftime("%Y-%m-%d")
