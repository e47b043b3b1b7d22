"""Keeps the log tables out of the host's own migrations where both lie in one schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app

from ..state import EXTENSION_KEY
from ..storage.columns import VERSION_TABLE
from ..storage.models import METADATA

if TYPE_CHECKING:
    from flask_migrate import Config

Filter = Callable[..., bool]
#: The arguments of Alembic's ``configure`` that may leave a table out, and where they are told a thing's name and kind:
#: ``include_name(name, type_, parent_names)``, ``include_object(object, name, type_, reflected, compare_to)``.
_FILTERS = {"include_name": (0, 1), "include_object": (1, 2)}
_OURS = frozenset({*METADATA.tables, VERSION_TABLE})


def hide_tables(app: Flask) -> None:
    """Let the host's ``flask db migrate`` and ``check`` overlook our tables: they would propose to drop them.

    Flask-Migrate is looked for now, for hosts that call its functions, and when a command runs, so that the order of
    the extensions does not matter.
    """
    _follow(app)
    wrapped = app.cli.get_command

    def get_command(context: Any, name: str) -> Any:
        _follow(app)
        return wrapped(context, name)

    app.cli.get_command = get_command  # type: ignore[method-assign, assignment]


def _follow(app: Flask) -> None:
    migrate = getattr(app.extensions.get("migrate"), "migrate", None)
    if migrate is not None and _add_filter not in migrate.configure_callbacks:
        migrate.configure(_add_filter)


def _add_filter(config: Config) -> Config:
    """Add our filter to the arguments of ``configure``, before a command of Flask-Migrate reads them."""
    arguments = current_app.extensions["migrate"].configure_args
    taken = _read_env_arguments(Path(config.get_main_option("script_location") or ""))
    for name in taken & arguments.keys():
        # Added before the file, or this line in it, was there.
        if _is_ours(arguments[name]):
            del arguments[name]
    free = [name for name in _FILTERS if name not in taken]
    is_added = any(_is_ours(arguments.get(name)) for name in free)
    # One Migrate may serve several apps, also such as have no logs.
    if EXTENSION_KEY in current_app.extensions and free and not is_added:
        arguments[free[0]] = _without_ours(free[0], arguments.get(free[0]))
    return config


def _is_ours(function: object) -> bool:
    return getattr(function, "_melody_logs", False)


def _read_env_arguments(directory: Path) -> set[str]:
    """Find which filters the host's ``env.py`` names itself: a second argument of that name would be a TypeError."""
    try:
        source = (directory / "env.py").read_text(errors="replace")
    except OSError:
        return set()
    return {name for name in _FILTERS if re.search(rf"\b{name}\s*=", source)}


def _without_ours(argument: str, host: Filter | None) -> Filter:
    name_at, type_at = _FILTERS[argument]

    def include(*given: Any) -> bool:
        if given[type_at] == "table" and given[name_at] in _OURS:
            return False
        return True if host is None else host(*given)

    include._melody_logs = True  # type: ignore[attr-defined]
    return include
