"""Keeps the log tables out of the host's own migrations where both live in one schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask

from ..storage.models import METADATA
from ..storage.schema import VERSION_TABLE

IncludeName = Callable[[str | None, str, Any], bool]


def hide_tables(app: Flask) -> None:
    """Let the host's ``flask db migrate`` overlook our tables: it would propose to drop them.

    Flask-Migrate is looked for when a command runs, so that the order of the extensions does not matter.
    """
    wrapped = app.cli.get_command

    def get_command(context: Any, name: str) -> Any:
        _wrap_include_name(app)
        return wrapped(context, name)

    app.cli.get_command = get_command  # type: ignore[method-assign, assignment]


def _wrap_include_name(app: Flask) -> None:
    migrate = app.extensions.get("migrate")
    arguments = getattr(migrate, "configure_args", None)
    if not isinstance(arguments, dict) or getattr(arguments.get("include_name"), "_melody_logs", False):
        return
    host: IncludeName | None = arguments.get("include_name")
    ours = {*METADATA.tables, VERSION_TABLE}

    def include_name(name: str | None, type_: str, parents: Any) -> bool:
        if type_ == "table" and name in ours:
            return False
        return True if host is None else host(name, type_, parents)

    include_name._melody_logs = True  # type: ignore[attr-defined]
    arguments["include_name"] = include_name
