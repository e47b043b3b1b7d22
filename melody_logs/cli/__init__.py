"""The commands ``flask melody-logs ...``: one file a group."""

from __future__ import annotations

from importlib import import_module

import click

#: Each command, the file it is in and its name there.
COMMANDS = {
    "clean": ("maintenance", "clean"),
    "client": ("clients", "client"),
    "db": ("database", "database_group"),
    "drain": ("maintenance", "drain"),
    "geoip": ("geoip", "geoip_group"),
    "health": ("health", "health"),
    "import": ("importing", "import_group"),
    "locate": ("maintenance", "locate"),
    "relocate": ("relocating", "relocate"),
}


class CommandGroup(click.Group):
    """Loads a command's file when it is asked for: rich and Alembic are no burden of a web process."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command, loaded or not."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        file, name = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f".{file}", __package__), name)
        return command


def create_group() -> click.Group:
    """Make the command group that ``init_app`` adds to the app's commands."""
    return CommandGroup("melody-logs", help="The email, SMS and sign-in logs: tables, clients, clean-up, health.")
