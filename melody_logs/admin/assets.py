"""Addresses of the stylesheet and scripts, which name their content so that browsers may keep them for good."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import current_app, url_for

from .. import resources
from ..state import state_of


def asset_url(name: str) -> str:
    """Make the address of the file *name* of our static folder, with the hash of its content."""
    return url_for(".static", filename=name, v=_hash_of(name))


def host_stylesheets() -> tuple[str, ...]:
    """Make the address of the host's own stylesheet; none where it has given none, or one that is not there."""
    given = state_of().settings.stylesheet
    if given is None:
        return ()
    if given.startswith("/") or ":" in given:
        return (given,)
    folder, troubles = current_app.static_folder, state_of().troubles
    if folder is None or "static" not in current_app.view_functions or not (Path(folder) / given).is_file():
        text = f'"MELODY_LOGS_STYLESHEET" is "{given}", which the static folder of the app does not have'
        troubles.note("Stylesheet", text, "put it there, or give a path that begins with a slash")
        return ()
    troubles.settle("Stylesheet")
    return (url_for("static", filename=given),)


def is_current(view_arguments: Mapping[str, Any] | None, arguments: Mapping[str, str]) -> bool:
    """Say whether a request for a static file names the content that it gets."""
    name = (view_arguments or {}).get("filename", "")
    return "v" in arguments and (resources.STATIC / name).is_file() and arguments["v"] == _hash_of(name)


def _hash_of(name: str) -> str:
    return _hash_content(name, (resources.STATIC / name).stat().st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _hash_content(name: str, changed_at: int) -> str:
    # The time of change is part of the key only: an edited file gets a new hash without a restart.
    return hashlib.sha256((resources.STATIC / name).read_bytes()).hexdigest()[:16]
