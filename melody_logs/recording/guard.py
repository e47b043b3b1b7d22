"""Where the host calls us: an error of ours ends here."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ..log_unavailable import LogUnavailable
from .losses import SparseLog

P = ParamSpec("P")
T = TypeVar("T")
#: One for all: such a function fails at each attempt.
_HOST_FAULTS = SparseLog()


def guarded(function: Callable[P, T]) -> Callable[P, T | None]:
    """Let no exception out of a hook or a receiver: it is logged, and the answer is None.

    :raise LogUnavailable: that one is meant for the host.
    """

    log = SparseLog()

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except LogUnavailable:
            raise
        except Exception:
            log.warn(f"{function.__qualname__} failed; the host goes on", with_traceback=True)
            return None

    return call


def ask_host(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Call a function of the host for a fact; what it raises is logged, a line a minute at most, and gives None.

    :raise LogUnavailable: if that is what it raises.
    """
    try:
        return function(*args, **kwargs)
    except LogUnavailable:
        raise
    except Exception:
        name = getattr(function, "__qualname__", type(function).__name__)
        _HOST_FAULTS.warn(f"{name} failed; the attempt is recorded without it", with_traceback=True)
        return None
