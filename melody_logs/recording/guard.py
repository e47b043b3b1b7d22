"""Where the host calls us: an error of ours ends here."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ..log_unavailable import LogUnavailable
from .losses import SparseLog

P = ParamSpec("P")
T = TypeVar("T")


def guarded(function: Callable[P, T]) -> Callable[P, T | None]:
    """Let no error out of a hook or a receiver: it is logged, and the answer is None. LogUnavailable passes."""

    log = SparseLog()

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except LogUnavailable:  # asked for by the host
            raise
        except Exception:
            log.warn(f"{function.__qualname__} failed; the host goes on", with_traceback=True)
            return None

    return call
