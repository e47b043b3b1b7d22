"""Messages as an adapter sees them leave: one row each, however many libraries one inside the other send it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from ..log_unavailable import LogUnavailable
from ..vocabulary import Kind
from .guard import guarded
from .known_secrets import UNREADABLE, list_secrets
from .receivers import read_addresses
from .recorder import Recorder
from .sending import Sending, sending

Fields = dict[str, Any]
#: What is known of the messages that this thread or task sends; the innermost word wins, secrets are gathered.
_DESCRIPTION: ContextVar[Fields | None] = ContextVar("melody_logs_description", default=None)
#: What was known when a message was made that a library sends later, perhaps in another thread.
_REMEMBERED: WeakKeyDictionary[Any, Fields] = WeakKeyDictionary()


@dataclass(frozen=True)
class _OnItsWay:
    kind: Kind
    receiver: object
    message: Sending

    @cached_property
    def receivers(self) -> frozenset[str]:
        return read_addresses(self.receiver)

    @property
    def is_open(self) -> bool:
        # A later message without receivers to tell it by stays part of it: only here its secrets are named.
        return not self.message.has_word and not (self.message.is_over and self.receivers)


#: The messages that adapters have begun inside a block that answers for one.
_BEGUN: ContextVar[list[Sending] | None] = ContextVar("melody_logs_begun", default=None)
#: The messages that are on their way, the outermost first.
_ON_THEIR_WAY: ContextVar[tuple[_OnItsWay, ...]] = ContextVar("melody_logs_on_their_way", default=())


@contextmanager
def describing(**facts: Any) -> Iterator[None]:
    """Say what the messages are that are sent inside the block, for the adapters that see them leave.

    :param facts: keywords of ``record_email``; *secrets* are added to those of an outer block.
    """
    joined = _describe(facts, is_said=True)
    token = _DESCRIPTION.set({"secrets": [UNREADABLE]} if joined is None else joined)
    try:
        yield
    finally:
        _DESCRIPTION.reset(token)


def described() -> Fields:
    """Give what is known of the messages that are sent right now."""
    return dict(_DESCRIPTION.get() or {})


@guarded
def remember_description(message: object) -> None:
    """Keep what is known now of a library's message object, for whoever sends it."""
    known = _DESCRIPTION.get()
    if known:
        _REMEMBERED[message] = known


@guarded
def recall_description(message: object) -> Fields:
    """Give what was known when a library's message object was made."""
    return dict(_REMEMBERED.get(message, ())) if _REMEMBERED else {}


@guarded
def is_any_on_its_way(kind: Kind) -> bool:
    """Say whether another adapter, or the host itself, is about to send a message of that kind."""
    return any(each.kind == kind for each in _ON_THEIR_WAY.get())


@contextmanager
def outgoing(
    recorder: Recorder | None, kind: Kind, fields: Fields, read_more: Callable[[], Fields] | None = None
) -> Iterator[Sending]:
    """Record a message that a library of the host sends inside the block, in two phases as :func:`sending` does.

    Where another adapter has it already (Flask-Mail calls smtplib), there is no second row: the inner adapter's word on
    how it ended is kept unless the outer one says more.

    :param recorder: None for an adapter that only adds to the rows of others.
    :param read_more: reads further fields that cost something; called only for a row of its own.
    :raise LogUnavailable: before the block runs, if the app fails closed and the first phase cannot be made durable.
    """
    with outgoing_many(recorder, kind, [fields], read_more) as (message,):
        yield message


@contextmanager
def outgoing_many(
    recorder: Recorder | None,
    kind: Kind,
    messages: Sequence[Fields],
    read_more: Callable[[], Fields] | None = None,
) -> Iterator[list[Sending]]:
    """Record several messages that one call of a library sends, each as :func:`outgoing` does."""
    before = _ON_THEIR_WAY.get()
    claimed, begun, found = list[_OnItsWay](), list[_OnItsWay](), list[Sending]()
    with ExitStack() as stack:
        for fields in messages:
            outer = _find_outer(before, kind, fields.get("receiver"), claimed)
            if outer is not None:
                claimed.append(outer)
                found.append(stack.enter_context(_inside(outer.message)))
                continue
            whole = fields | ((read_more and _read_more(read_more)) or {})
            whole = _describe(whole, is_said=False) or whole | {"secrets": [UNREADABLE]}
            message = stack.enter_context(_unrecorded() if recorder is None else sending(recorder, kind, whole))
            found.append(message)
            _note_begun(message)
            begun.append(_OnItsWay(kind, whole.get("receiver"), message))
        token = _ON_THEIR_WAY.set((*before, *begun))
        try:
            yield found
        finally:
            for each in begun:
                each.message.is_over = True
            _ON_THEIR_WAY.reset(token)


@contextmanager
def announced(recorder: Recorder, kind: Kind, fields: Fields) -> Iterator[Sending]:
    """Record a message that the host itself says it sends inside the block; adapters inside add to its row."""
    outer = _find_outer(_ON_THEIR_WAY.get(), kind, fields.get("receiver"), [])
    if outer is not None:
        with _inside(outer.message) as message:
            message.add(**{name: value for name, value in fields.items() if name != "secrets"})
            yield message
        return
    whole = _describe(fields, is_said=True) or fields | {"secrets": [UNREADABLE]}
    with sending(recorder, kind, whole) as message:
        token = _ON_THEIR_WAY.set((*_ON_THEIR_WAY.get(), _OnItsWay(kind, fields.get("receiver"), message)))
        try:
            yield message
        finally:
            message.is_over = True
            _ON_THEIR_WAY.reset(token)


@contextmanager
def answering(recorder: Recorder, kind: Kind, read: Callable[[], Fields]) -> Iterator[None]:
    """Record a message as failed if the block raises before an adapter has begun it, as where no connection is had.

    Whoever knows the message, but not how and whether it leaves inside the block, uses this.
    """
    begun = list[Sending]()
    token = _BEGUN.set(begun)
    try:
        yield
    except Exception as error:
        if not begun and not isinstance(error, LogUnavailable):
            _record_failure(recorder, kind, read, error)
        raise
    finally:
        _BEGUN.reset(token)


@guarded
def _record_failure(recorder: Recorder, kind: Kind, read: Callable[[], Fields], error: Exception) -> None:
    message = Sending(None)
    message.end(error)
    fields, _ = message.read_result(_describe(read(), is_said=False) or {"secrets": [UNREADABLE]})
    recorder.record_message(kind, fields)


@guarded
def _note_begun(message: Sending) -> None:
    begun = _BEGUN.get()
    if begun is not None:
        begun.append(message)


@contextmanager
def _unrecorded() -> Iterator[Sending]:
    yield Sending(None)


@contextmanager
def _inside(message: Sending) -> Iterator[Sending]:
    """Let an inner adapter say how the message of an outer one ended."""
    try:
        yield message
    except Exception as error:
        _note_end(message, error)
        raise
    _note_end(message, None)


@guarded
def _note_end(message: Sending, error: Exception | None) -> None:
    message.end(error)
    message.is_taken = message.is_taken or message.was_sent


@guarded
def _find_outer(
    before: Sequence[_OnItsWay], kind: Kind, receiver: object, claimed: Sequence[_OnItsWay]
) -> _OnItsWay | None:
    """Find the message of an outer adapter that an inner one sends.

    That is the first of which nobody has said how it ended, best one to the same receivers. Where all have ended, it is
    a further attempt at one to these receivers, or a message of its own.
    """
    known = [each for each in before if each.kind == kind]
    open_ones = [each for each in known if each.is_open and each not in claimed]
    if not known or len(open_ones) == 1:
        return open_ones[0] if open_ones else None
    receivers = read_addresses(receiver)
    for each in (*open_ones, *(each for each in known if each not in claimed)):
        if receivers and receivers <= each.receivers:
            return each
    return open_ones[0] if open_ones else None


@guarded
def _read_more(read: Callable[[], Fields]) -> Fields:
    return read()


@guarded
def _describe(fields: Fields, *, is_said: bool) -> Fields:
    """Add what is known; what the host said of the message goes before what an adapter reads from it."""
    known = _DESCRIPTION.get() or {}
    return _join(known, _given(fields)) if is_said else _join(fields, known)


def _join(outer: Fields, inner: Fields) -> Fields:
    """Join two descriptions: the inner word wins, secrets are gathered."""
    secrets = [*list_secrets(outer.get("secrets")), *list_secrets(inner.get("secrets"))]
    return outer | inner | ({"secrets": secrets} if secrets else {})


def _given(facts: Fields) -> Fields:
    return {name: value for name, value in facts.items() if value is not None}
