"""The commands ``flask melody-logs ...``: one file a group."""

from __future__ import annotations

import click

from .clients import client
from .database import database_group
from .health import health
from .importing import import_group
from .maintenance import clean, drain, locate


def create_group() -> click.Group:
    """Make the command group that ``init_app`` adds to the app's commands."""
    group = click.Group("melody-logs", help="The email, SMS and sign-in logs: tables, clients, clean-up, health.")
    for command in (database_group, client, clean, drain, locate, import_group, health):
        group.add_command(command)
    return group
