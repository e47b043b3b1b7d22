"""Where the host calls us: an error of ours ends here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ..log_unavailable import LogUnavailable

P = ParamSpec("P")
T = TypeVar("T")
_logger = logging.getLogger("melody_logs")


def guarded(function: Callable[P, T]) -> Callable[P, T | None]:
    """Let no error out of a hook or a receiver: it is logged, and the answer is None. LogUnavailable passes."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except LogUnavailable:  # asked for by the host
            raise
        except Exception:
            _logger.exception("%s failed; the host goes on", function.__qualname__)
            return None

    return call
