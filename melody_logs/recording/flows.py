"""One story: the id that joins the code that was sent, the tries and the sign-in.

It is kept in the host's session under one key, where there is a session, and never makes one. What a client sends in
the clear is never taken for it. A flow ends with a completed sign-in, with a sign-out, or after an hour.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flask import has_request_context, request
from flask.globals import request_ctx

from .attempts import Attempt, event_of
from .cleaning import Marks, clean_text
from .guard import guarded

#: Where the session keeps the flow, as ``SECONDS.ID``: when it began, in hexadecimal Unix time, and its id.
SESSION_KEY = "_melody_logs_flow"
LIFETIME_SECONDS = 3600
#: As long as the column of the rows.
MOST_CHARACTERS = 128
_NAME = "_melody_logs_flow"
_RANDOM_BYTES = 16
#: What nothing waits for: where no flow is under way, none begins with it.
_LONE_EVENTS = ("sign_out", "token_refresh")


@dataclass(slots=True)
class Flow:
    """The flow of a request. *is_used* once an entry has it, *has_ended* once an entry has completed it."""

    id: str
    began_at: int
    is_used: bool = False
    has_ended: bool = False

    def to_text(self) -> str:
        """Write it as the session keeps it."""
        return f"{self.began_at:x}.{self.id}"


@guarded
def keep_flow() -> None:
    """Remember the session's flow for this request: a login view may clear the session before it records."""
    opened = peek_session()
    kept = opened and _read(opened)
    if kept:
        setattr(_request(), _NAME, kept)


def join_message(fields: dict[str, Any]) -> dict[str, Any]:
    """Give the fields of a new message with their flow; the first message of a request begins one."""
    if fields.get("flow_id") is not None:
        return fields
    return {**fields, "flow_id": current_flow()}


@guarded
def join_attempt(attempt: Attempt) -> None:
    """Give an attempt its flow; outside a flow it begins one if the visitor has a session and something may follow."""
    if attempt.fields.get("flow_id") is not None or not has_request_context():
        return
    is_lone = _is_lone(attempt.fields)
    if attempt.is_settled and is_lone:
        # What came after it is not its story, and not worth a second entry.
        return
    flow = _current()
    if flow is None and peek_session() and not is_lone:
        flow = _begin()
    if flow is not None:
        attempt.fields["flow_id"] = _use(flow)


@guarded
def note_outcome(values: Mapping[str, Any]) -> None:
    """End the flow of this request if the entry with these values completes it: it still belongs to the flow."""
    if values["outcome"] != "success" or values["event"] not in ("sign_in", "sign_out"):
        return
    flow = _current() if has_request_context() else None
    if flow is not None and flow.id == values.get("flow_id"):
        flow.has_ended = True


@guarded
def settle_flow() -> None:
    """Let the session know, before it is saved, which flow goes on. A session that has nothing else keeps none."""
    opened: Any = peek_session()
    if not opened:
        return
    flow: Flow | None = getattr(_request(), _NAME, None)
    kept = _get(opened)
    wanted = kept if _read(opened) is not None else None
    if flow is not None and flow.has_ended:
        wanted = None
    elif flow is not None and flow.is_used:
        wanted = flow.to_text()
    if wanted is None and kept is None:
        return
    # Flask-Session leaves a false "_permanent" in a session that was cleared.
    if not any(value or name != "_permanent" for name, value in dict(opened).items() if name != SESSION_KEY):
        wanted = None
    if wanted == kept:
        return
    if wanted is None:
        del opened[SESSION_KEY]
    else:
        opened[SESSION_KEY] = wanted


@guarded
def current_flow() -> str | None:
    """Give the flow of this request, a new one if none is under way; None outside a request."""
    return _use(_current() or _begin()) if has_request_context() else None


@guarded
def use_flow(flow_id: object) -> None:
    """Let the entries of this request that are still to be recorded belong to a flow that the host knows.

    Outside a request it does nothing. An id that is no text, or empty, is left out.
    """
    known = clean_text(flow_id, limit=MOST_CHARACTERS, name="flow_id", marks=Marks())
    if known and has_request_context():
        setattr(_request(), _NAME, Flow(known, int(time.time()), is_used=True))


def flow_of(secret: object, key: bytes) -> str:
    """Make the flow id that belongs to a secret of the host, such as the token in a link: a keyed hash of it."""
    data = secret if isinstance(secret, bytes) else str(secret).encode("utf-8", "replace")
    return hmac.new(key, data, hashlib.sha256).hexdigest()[:32]


def peek_session() -> MutableMapping[str, Any] | None:
    """Give the session of this request without marking it as used, so that the answer does not vary by cookie.

    None if there is no request, or its session is not open yet.
    """
    if not has_request_context():
        return None
    # Not by the proxy, nor by the property of newer Flask: both say that the host has looked into it.
    known = vars(request_ctx._get_current_object())  # type: ignore[attr-defined]
    opened: MutableMapping[str, Any] | None = known.get("_session", known.get("session"))
    return opened


def _request() -> Any:
    return request._get_current_object()  # type: ignore[attr-defined]


def _current() -> Flow | None:
    """Give the flow of this request: the one that it has used or kept, else the session's."""
    flow: Flow | None = getattr(_request(), _NAME, None)
    if flow is None and (opened := peek_session()):
        flow = _read(opened)
        if flow is not None:
            setattr(_request(), _NAME, flow)
    return flow


def _begin() -> Flow:
    now = int(time.time())
    # The time comes first: the index of the flows grows at its end, not all over.
    flow = Flow(f"{now:08x}{secrets.token_urlsafe(_RANDOM_BYTES)}", now)
    setattr(_request(), _NAME, flow)
    return flow


def _use(flow: Flow) -> str:
    flow.is_used = True
    return flow.id


def _is_lone(fields: Mapping[str, Any]) -> bool:
    event = event_of(fields)
    outcome = fields.get("outcome")
    succeeded = outcome == "success" if isinstance(outcome, str) else fields.get("success") is True
    return event in _LONE_EVENTS or (event == "sign_in" and succeeded)


def _read(opened: MutableMapping[str, Any]) -> Flow | None:
    """Read the flow that a session keeps; None if there is none, or it is an hour old."""
    kept = _get(opened)
    if not isinstance(kept, str):
        return None
    began, _, flow_id = kept.partition(".")
    with suppress(ValueError):
        began_at = int(began, 16)
        if flow_id and len(flow_id) <= MOST_CHARACTERS and 0 <= time.time() - began_at < LIFETIME_SECONDS:
            return Flow(flow_id, began_at)
    return None


def _get(opened: Any) -> Any:
    accessed = getattr(opened, "accessed", None)
    try:
        return opened.get(SESSION_KEY)
    finally:
        if accessed is False:
            opened.accessed = False
