"""Functions of other libraries, wrapped once a process: for libraries that tell nobody what they do."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ..recording.outgoing import remember_description

_ORIGINAL = "_melody_logs_original"


def wrap_once(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace the function *name* of a class or module by what *make* makes of it; a second call does nothing.

    :raise AttributeError: if *owner* has none of that name: the library has changed.
    """
    original = getattr(owner, name)
    if hasattr(vars(owner).get(name), _ORIGINAL):
        return
    wrapped = wraps(original)(make(original))
    setattr(wrapped, _ORIGINAL, original)
    setattr(owner, name, wrapped)


def remember_making(original: Callable[..., None]) -> Callable[..., None]:
    """Wrap the constructor of a library's message: what is known when it is made goes with it to whoever sends it."""

    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        remember_description(self)

    return make


def unwrap(owner: Any, name: str) -> None:
    """Put the library's own function back."""
    original = getattr(vars(owner).get(name), _ORIGINAL, None)
    if original is not None:
        setattr(owner, name, original)
