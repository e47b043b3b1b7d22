"""What the address of a page names: a kind that is recorded, the id of a row."""

from __future__ import annotations

import re

from flask import abort

from ..vocabulary import Kind
from .rendering import enabled_kinds


def require_enabled(kind: Kind) -> None:
    """Answer 404 where the app does not record *kind*: it has no section in the pages."""
    if kind not in enabled_kinds():
        abort(404)


def read_row_id(text: str) -> int:
    """Read an id as the pages write it: ASCII digits without sign or leading zero; anything else is 404."""
    if not re.fullmatch(r"[1-9][0-9]{0,18}", text) or int(text) >= 2**63:
        abort(404)
    return int(text)
