"""Calls of a provider's HTTP API that send a message: recorded around the call, whoever makes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from ..recording.outgoing import outgoing
from ..recording.sending import Sending
from ..state import State
from ..vocabulary import Kind

T = TypeVar("T")


class Call(NamedTuple):
    """A message that a call is about to send: the keywords of ``record_email`` or ``record_sms``."""

    state: State
    kind: Kind
    fields: dict[str, Any]


def record_call(call: Call | None, make: Callable[[], T], read_answer: Callable[[Sending, T], None]) -> T:
    """Make a call, and record how it ended; without a *call* to record, only make it.

    :param read_answer: says by the answer how the message ended; it raises nothing.
    :raise LogUnavailable: before the call, if the app fails closed and it cannot be logged.
    """
    if call is None:
        return make()
    with outgoing(call.state.recorder, call.kind, call.fields) as message:
        answer = make()
        read_answer(message, answer)
        return answer


async def record_async_call(
    call: Call | None, make: Callable[[], Awaitable[T]], read_answer: Callable[[Sending, T], None]
) -> T:
    """Do as :func:`record_call` for a call that is awaited."""
    if call is None:
        return await make()
    with outgoing(call.state.recorder, call.kind, call.fields) as message:
        answer = await make()
        read_answer(message, answer)
        return answer
