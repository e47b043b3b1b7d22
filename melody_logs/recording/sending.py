"""Messages in two phases: ``pending`` before the provider is called, then how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..vocabulary import Kind
from .guard import guarded
from .recorder import Recorder


class Sending:
    """A message on its way. Without a word from the caller it was sent when the block ended."""

    def __init__(self, event_id: str | None) -> None:
        self.event_id = event_id
        #: Whether somebody has said how it ended, and whether a library has seen that the provider took it.
        self.has_word = self.is_taken = False
        #: Whether its block has ended: what a task that was begun in there sends later is another message.
        self.is_over = False
        self._result: dict[str, Any] = {"status": "sent"}
        self._facts = dict[str, Any]()

    def sent(self, response: object = None, *, provider_message_id: object = None) -> None:
        """Say that the provider took it, with its answer and its id of the message."""
        self._say("sent", response, provider_message_id)

    def accepted(self, response: object = None, *, provider_message_id: object = None) -> None:
        """Say that the provider took it and will send it later, as its reports then say."""
        self._say("accepted", response, provider_message_id)

    def failed(self, response: object = None) -> None:
        """Say that it was not sent, with the provider's answer."""
        self._say("failed", response)

    def suppressed(self, response: object = None) -> None:
        """Say that it was held back on purpose, as a test or development set-up does."""
        self._say("suppressed", response)

    def unknown(self, response: object = None) -> None:
        """Say that nobody can tell whether it was sent."""
        self._say("unknown", response)

    def add(self, **facts: Any) -> None:
        """Add keywords of ``record_email`` that were not known when the message began, such as *provider*."""
        self._facts |= _given(facts)

    def _say(self, status: str, response: object, provider_message_id: object = None) -> None:
        self.has_word = True
        self._result = {"status": status, "response": response, "provider_message_id": provider_message_id}

    @property
    def was_sent(self) -> bool:
        """Whether somebody has said that the provider took it."""
        return self.has_word and self._result["status"] in ("sent", "accepted")

    def end(self, error: Exception | None) -> None:
        """Note how the block ended; an answer that was told says more than an exception.

        What a library has seen being taken stays sent, whatever its caller does afterwards.
        """
        is_told = self.is_taken or (self.has_word and self._result["status"] == "failed")
        if error is not None and not is_told:
            self.failed(f"{type(error).__name__}: {_text_of(error)}")

    def read_result(self, fields: dict[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
        """Give the fields of the second phase, and the names of those that the first one did not have."""
        news = {name: value for name, value in self._facts.items() if fields.get(name) is None}
        return fields | news | _given(self._result), frozenset(news)


@contextmanager
def sending(recorder: Recorder, kind: Kind, fields: dict[str, Any]) -> Iterator[Sending]:
    """Record a message as pending, and at the end of the block how it ended.

    An exception is recorded as a failure and goes on unchanged. When the process dies or the request is killed in
    between, a sweep turns the row into ``unknown`` after ``MELODY_LOGS_PENDING_MINUTES``.

    :raise LogUnavailable: before the block runs, if the app fails closed and the first phase cannot be made durable.
    """
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
    message.end(error)
    if message.event_id is None:
        return
    whole, news = message.read_result(fields)
    recorder.record_message(kind, whole, event_id=message.event_id, amends=True, news=news)


def _given(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _text_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception:
        return "(its text could not be read)"
