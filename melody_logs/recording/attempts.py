"""The sign-in attempts of the request at hand: what several signals and hooks see becomes one entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import has_request_context, request

from ..vocabulary import EVENTS

_NAME = "_melody_logs_attempts"
#: Two ways to say one fact: who says either has said both.
_RESULT = ("outcome", "success")


@dataclass(slots=True)
class Attempt:
    """One attempt: the facts so far, and once it was written, its event id and what was written.

    ``is_settled`` once it was written, left out by the host, or lost: none of these is tried again. ``is_folded`` if it
    was counted in the row of many: what is known later of it alone is not written.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    event_id: str | None = None
    written: dict[str, Any] = field(default_factory=dict)
    is_settled: bool = False
    is_folded: bool = False

    def add(self, fields: dict[str, Any], *, only_missing: bool) -> None:
        """Add facts; later ones win, unless they may only fill what is *only_missing*."""
        given = {name: value for name, value in fields.items() if value is not None}
        if only_missing:
            known = {name for name, value in self.fields.items() if value is not None}
            if known.intersection(_RESULT):
                known.update(_RESULT)
            given = {name: value for name, value in given.items() if name not in known}
        elif not given.keys().isdisjoint(_RESULT):
            for name in _RESULT:
                self.fields.pop(name, None)
        self.fields |= given

    @property
    def news(self) -> dict[str, Any]:
        """The facts that the written entry does not have."""
        return {name: value for name, value in self.fields.items() if self.written.get(name) is None}


def current_attempts() -> dict[str, Attempt]:
    """Give the attempts of this request by event; a new empty dict outside a request.

    They hang on the request, not on ``flask.g``, which tests and nested requests share.
    """
    if not has_request_context():
        return {}
    current: Any = request._get_current_object()  # type: ignore[attr-defined]
    attempts: dict[str, Attempt] | None = getattr(current, _NAME, None)
    if attempts is None:
        attempts = {}
        setattr(current, _NAME, attempts)
    return attempts


def event_of(fields: Mapping[str, Any]) -> str:
    """Name the event that an attempt's fields speak of; a word that is none means ``sign_in``."""
    event = fields.get("event")
    # Not the value's own comparison: a text of the host's own type may raise in it.
    word = str.__str__(event) if issubclass(type(event), str) else ""
    return word if word in EVENTS else "sign_in"
