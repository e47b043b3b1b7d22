"""Who wants to see each entry that is recorded in this process: the test kit, and nobody while the host is at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .entries import Entry

_observers: list[Callable[[Entry], None]] = []


def tell_observers(entry: Entry) -> None:
    """Hand an entry that was just appended to the spool to whoever observes."""
    for observer in tuple(_observers):
        observer(entry)


@contextmanager
def observe(observer: Callable[[Entry], None]) -> Iterator[None]:
    """Let *observer* see the entries of every app of this process while the block runs."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)
