"""The sign-in attempts of the request at hand: what several signals and hooks see becomes one entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import g, has_request_context

_G_NAME = "_melody_logs_attempts"


@dataclass(slots=True)
class Attempt:
    """One attempt: the facts so far, and once it was written, its event id and what was written."""

    fields: dict[str, Any] = field(default_factory=dict)
    event_id: str | None = None
    written: dict[str, Any] = field(default_factory=dict)

    def add(self, fields: dict[str, Any], *, only_missing: bool) -> None:
        """Add facts; later ones win, unless they may only fill what is *only_missing*."""
        for name, value in fields.items():
            if value is None or (only_missing and self.fields.get(name) is not None):
                continue
            self.fields[name] = value

    @property
    def news(self) -> dict[str, Any]:
        """The facts that the written entry does not have."""
        return {name: value for name, value in self.fields.items() if self.written.get(name) is None}


def current_attempts() -> dict[str, Attempt]:
    """Give the attempts of this request by event; a new empty dict outside a request."""
    if not has_request_context():
        return {}
    attempts: dict[str, Attempt] | None = g.get(_G_NAME)
    if attempts is None:
        attempts = {}
        setattr(g, _G_NAME, attempts)
    return attempts


def take_attempts() -> dict[str, Attempt]:
    """Give the attempts of this request and forget them, so that its end is recorded once."""
    attempts: dict[str, Attempt] = g.pop(_G_NAME, None) or {}
    return attempts
