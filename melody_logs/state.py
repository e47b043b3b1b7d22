"""The objects of one app, made once by ``init_app``."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app

from .errors import ConfigurationError, NotInitialisedError
from .geolocation.locate import Locator
from .recording.drain import Drain
from .recording.drain_thread import DrainThread
from .recording.flood import FloodGuard
from .recording.recorder import Recorder
from .recording.seams import Seams
from .recording.spool import Spool
from .secret_keys import derive_key
from .settings import Settings
from .storage.database import Database
from .storage.destination import Destination, resolve_destination
from .troubles import Troubles

if TYPE_CHECKING:
    from .health import Health

TEMPORARY_TIMEOUT_SECONDS = 10.0
EXTENSION_KEY = "melody_logs"


@dataclass(slots=True)
class State:
    """What melody_logs keeps of one app."""

    settings: Settings
    database: Database
    spool: Spool
    drain: Drain
    drain_thread: DrainThread
    recorder: Recorder
    locator: Locator
    seams: Seams
    derive_key: Any
    troubles: Troubles = field(default_factory=Troubles)
    #: What is connected to the signals: kept here, and not by the signals, it ends with its app.
    receivers: list[Any] = field(default_factory=list)
    #: What integrations let see the answer of each request, once, before its sign-ins are recorded; none may raise.
    answer_watchers: list[Any] = field(default_factory=list)
    #: The integrations that are connected, by name.
    integrations: dict[str, Any] = field(default_factory=dict)
    #: Those of them that were found, and not asked for by the host.
    found_integrations: set[str] = field(default_factory=set)
    #: The views that they watch, by endpoint; one that the host watches itself goes before.
    found_views: dict[str, Any] = field(default_factory=dict)
    #: Why one that was found is not connected, by name.
    integration_problems: dict[str, str] = field(default_factory=dict)
    #: When the coverage was last looked at, by the monotonic clock, and what was found.
    seen_coverage: tuple[float, Any] | None = None
    #: When the health was last looked at, by the monotonic clock, and what was found.
    seen_health: tuple[float, Health | None] | None = None

    @property
    def admin_access(self) -> Any:
        """The host's function that says who may enter the pages; None until it is given."""
        return self.seams.admin_access


def state_of(app: Flask | None = None) -> State:
    """Give the state of *app*, or of the current app.

    :raise NotInitialisedError: if ``init_app`` has not been called on it.
    """
    app = app or current_app
    state: State | None = app.extensions.get(EXTENSION_KEY)
    if state is None:
        raise NotInitialisedError(f'melody_logs is not initialised on "{app.name}": did you forget logs.init_app(app)?')
    return state


def make_state(app: Flask, db: Any, settings: Settings, seams: Seams) -> State:
    """Build the objects of *app*; nothing is opened, connected or started.

    :raise ConfigurationError: if there is no database for the logs.
    """
    destination = resolve_destination(app, db, settings)
    database = Database(lambda: destination)
    spool = Spool(
        _spool_directory(app, settings, Path(destination.url.database or "") if destination.temporary else None),
        max_megabytes=settings.spool_max_megabytes,
        synchronous=settings.spool_synchronous,
        destination=database.fingerprint,
    )
    drain = Drain(spool, database)
    drain_thread = DrainThread(drain, settings.drain_interval_seconds, allowed=settings.drain_in_process)
    derive = _key_deriver(app, settings)
    recorder = Recorder(
        settings=settings,
        seams=seams,
        spool=spool,
        drain_thread=drain_thread,
        flood=FloodGuard(settings.flood_whole_per_minute),
        derive_key=derive,
        direct_timeout_seconds=_direct_timeout(settings, destination),
    )
    return State(
        settings=settings,
        database=database,
        spool=spool,
        drain=drain,
        drain_thread=drain_thread,
        recorder=recorder,
        locator=Locator(settings.geoip_database),
        seams=seams,
        derive_key=derive,
    )


def _direct_timeout(settings: Settings, destination: Destination) -> float | None:
    if destination.temporary:
        # The host's test suite: its assertions wait for nothing, and a busy machine must not make them fail.
        return TEMPORARY_TIMEOUT_SECONDS
    return settings.direct_timeout_milliseconds / 1000 if settings.writer == "direct" else None


def _spool_directory(app: Flask, settings: Settings, temporary_database: Path | None) -> Path:
    if settings.spool_dir:
        return Path(app.root_path, settings.spool_dir)
    if temporary_database is not None:
        return temporary_database.parent / "spool"
    return Path(app.instance_path) / "melody_logs" / "spool"


def _key_deriver(app: Flask, settings: Settings) -> Any:
    """Derive keys lazily: a host may set its SECRET_KEY after ``init_app``."""

    @functools.cache
    def derive(purpose: str) -> bytes:
        secret = settings.key or app.config.get("SECRET_KEY")
        if not secret:
            raise ConfigurationError('neither "MELODY_LOGS_KEY" nor "SECRET_KEY" is set: set one of them')
        return derive_key(secret, purpose)

    return derive
