"""Messages as an adapter sees them leave: one row each, however many libraries one inside the other send it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..vocabulary import Kind
from .recorder import Recorder
from .sending import Sending, sending

#: What is known of the messages that this thread or task sends; the innermost word wins, secrets are gathered.
_DESCRIPTION: ContextVar[dict[str, Any] | None] = ContextVar("melody_logs_description", default=None)
#: The message that is on its way, by kind.
_ON_THEIR_WAY: ContextVar[dict[str, Sending] | None] = ContextVar("melody_logs_on_their_way", default=None)


@contextmanager
def describing(**facts: Any) -> Iterator[None]:
    """Say what the messages are that are sent inside the block, for the adapters that see them leave.

    :param facts: keywords of ``record_email``; *secrets* are added to those of an outer block.
    """
    outer = _DESCRIPTION.get() or {}
    given = {name: value for name, value in facts.items() if value is not None}
    secrets = [*_listed(outer.get("secrets")), *_listed(given.get("secrets"))]
    token = _DESCRIPTION.set(outer | given | ({"secrets": secrets} if secrets else {}))
    try:
        yield
    finally:
        _DESCRIPTION.reset(token)


def described() -> dict[str, Any]:
    """Give what is known of the messages that are sent right now."""
    return dict(_DESCRIPTION.get() or {})


@contextmanager
def outgoing(recorder: Recorder, kind: Kind, fields: dict[str, Any]) -> Iterator[Sending]:
    """Record a message that a library of the host sends inside the block, in two phases as :func:`sending` does.

    Where another adapter has it already (Flask-Mail calls smtplib), there is no second row: the inner adapter's word on
    how it ended is kept unless the outer one says more.

    :raise LogUnavailable: before the block runs, if the app fails closed and the first phase cannot be made durable.
    """
    others = _ON_THEIR_WAY.get() or {}
    outer = others.get(kind)
    if outer is not None:
        yield outer
        return
    known = described()
    secrets = [*_listed(known.get("secrets")), *_listed(fields.get("secrets"))]
    # What the host said of the message goes before what the adapter reads from it.
    whole = fields | known | ({"secrets": secrets} if secrets else {})
    with sending(recorder, kind, whole) as message:
        token = _ON_THEIR_WAY.set(others | {kind: message})
        try:
            yield message
        finally:
            _ON_THEIR_WAY.reset(token)


def _listed(secrets: object) -> list[Any]:
    if secrets is None:
        return []
    is_many = isinstance(secrets, Iterable) and not isinstance(secrets, str | bytes | bytearray | memoryview)
    # An iterator gives its values once: it is handed on whole, and read where the secrets are.
    return [secrets] if not is_many or isinstance(secrets, Iterator | dict) else list(secrets)  # type: ignore[call-overload]
