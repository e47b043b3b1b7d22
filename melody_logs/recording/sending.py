"""Messages in two phases: ``pending`` before the provider is called, then how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from ..vocabulary import Kind
from .guard import guarded
from .known_secrets import MOST_SECRETS
from .recorder import Recorder


class Sending:
    """A message on its way. Without a word from the caller it was sent when the block ended."""

    def __init__(self, event_id: str | None) -> None:
        self.event_id = event_id
        self._result: dict[str, Any] = {"status": "sent"}

    def sent(self, response: object = None, *, provider_message_id: object = None) -> None:
        """Say that the provider took it, with its answer and its id of the message."""
        self._result = {"status": "sent", "response": response, "provider_message_id": provider_message_id}

    def accepted(self, response: object = None, *, provider_message_id: object = None) -> None:
        """Say that the provider took it and will send it later, as its reports then say."""
        self._result = {"status": "accepted", "response": response, "provider_message_id": provider_message_id}

    def failed(self, response: object = None) -> None:
        """Say that it was not sent, with the provider's answer."""
        self._result = {"status": "failed", "response": response}

    def suppressed(self, response: object = None) -> None:
        """Say that it was held back on purpose, as a test or development set-up does."""
        self._result = {"status": "suppressed", "response": response}


@contextmanager
def sending(recorder: Recorder, kind: Kind, fields: dict[str, Any]) -> Iterator[Sending]:
    """Record a message as pending, and at the end of the block how it ended.

    An exception is recorded as a failure and goes on unchanged. When the process dies or the request is killed in
    between, a sweep turns the row into ``unknown`` after ``MELODY_LOGS_PENDING_MINUTES``.

    :raise LogUnavailable: before the block runs, if the app fails closed and the first phase cannot be made durable.
    """
    if isinstance(fields.get("secrets"), Iterator):
        # Both phases need them, and an iterator gives them once.
        fields = fields | {"secrets": _read_once(fields["secrets"])}
    event_id = recorder.record_message(kind, {**fields, "status": "pending"}, amends=True, strict=True)
    message = Sending(event_id)
    try:
        yield message
    except Exception as error:
        _finish(recorder, kind, fields, message, error)
        raise
    _finish(recorder, kind, fields, message, None)


@guarded
def _finish(recorder: Recorder, kind: Kind, fields: dict[str, Any], message: Sending, error: Exception | None) -> None:
    if error is not None:
        message.failed(f"{type(error).__name__}: {_text_of(error)}")
    if message.event_id is None:
        return
    recorder.record_message(kind, fields | message._result, event_id=message.event_id, amends=True)


def _read_once(secrets: Iterator[Any]) -> list[Any]:
    """Read an iterator of secrets; what cannot be read stands in the list, so that both phases withhold the texts."""
    values = list[Any]()
    try:
        values.extend(islice(secrets, MOST_SECRETS + 1))
    except Exception:
        values.append(_Unreadable())
    return values


class _Unreadable:
    def __str__(self) -> str:
        raise ValueError('"secrets" could not be read')


def _text_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception:
        return "(its text could not be read)"
