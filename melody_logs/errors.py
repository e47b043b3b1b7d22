"""Exceptions of melody_logs; they import nothing, so that every module may raise them."""


class MelodyLogsError(Exception):
    """Base of every exception that melody_logs raises on purpose."""


class ConfigurationError(MelodyLogsError):
    """A ``MELODY_LOGS_*`` setting, or the host's set-up, cannot work; the message names it and the remedy."""


class NotInitialisedError(MelodyLogsError):
    """melody_logs was used on an app on which ``init_app`` has not been called."""


class StorageUnavailableError(MelodyLogsError):
    """The log database cannot be reached or has no tables; the message says which and what to do."""


class GeolocationUnavailableError(MelodyLogsError):
    """A configured location file cannot be read; the message names it. Sign-ins keep waiting until it is back."""


class LocationUpdateError(MelodyLogsError):
    """A location file cannot be downloaded or is not fit for use; the message says why. Nothing was replaced."""


class ImportSourceError(MelodyLogsError):
    """The database to import from cannot be read, or is not what it should be; the message says why."""
