"""Email, SMS and sign-in logs for Flask: recorded safely, located, searchable, cleaned on time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError, MelodyLogsError, NotInitialisedError

if TYPE_CHECKING:
    from .extension import MelodyLogs
    from .log_unavailable import LogUnavailable
    from .recording.seams import UserLabel

__all__ = ["ConfigurationError", "LogUnavailable", "MelodyLogs", "MelodyLogsError", "NotInitialisedError", "UserLabel"]

_LATER = {
    "LogUnavailable": ".log_unavailable",
    "MelodyLogs": ".extension",
    "UserLabel": ".recording.seams",
}


def __getattr__(name: str) -> Any:
    """Import the extension when it is asked for: the signals and the worker's commands do not need all of it."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LATER[name], __name__), name)
