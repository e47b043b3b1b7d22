"""Email, SMS and sign-in logs for Flask: recorded safely, located, searchable, cleaned on time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError, MelodyLogsError, NotInitialisedError

if TYPE_CHECKING:
    from .extension import MelodyLogs

__all__ = ["ConfigurationError", "MelodyLogs", "MelodyLogsError", "NotInitialisedError"]


def __getattr__(name: str) -> Any:
    """Import the extension when it is asked for: the signals and the worker's commands do not need all of it."""
    if name != "MelodyLogs":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .extension import MelodyLogs

    return MelodyLogs
