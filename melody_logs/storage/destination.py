"""Where the logs of an app live: an address of their own, a bind, or beside the host's data."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..errors import ConfigurationError
from ..settings import Settings
from .columns import MARIADB

#: Host options that say how the host pools its own connections, or that would tie ours to its. A ``creator`` stays:
#: where there is one, the address alone does not lead to the database.
_NOT_OURS = {"url", "poolclass", "pool", "execution_options", "isolation_level", "client_encoding", "echo", "echo_pool"}
_BACKENDS = ("postgresql", "sqlite", *MARIADB)


@dataclass(frozen=True)
class Destination:
    """A resolved log database. ``schema`` is set on PostgreSQL only; ``temporary`` databases end with the process.

    ``key`` is the key of the host's configuration that says where it is, or that would say another place.
    """

    url: URL
    schema: str | None
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    temporary: bool = False
    key: str = "MELODY_LOGS_DATABASE_URI"

    def prepare_file(self) -> None:
        """Make the SQLite file, readable by its owner only, before the driver makes it readable by everyone."""
        if not self.url.database:
            return
        path = Path(self.url.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def show_url(url: URL) -> str:
    """Write an address without its passwords, also those among its options."""
    hidden = {name: "***" for name in url.query if "passw" in name.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True).replace("=%2A%2A%2A", "=***")


def resolve_destination(app: Flask, db: Any, settings: Settings) -> Destination:
    """Find the log database: ``MELODY_LOGS_DATABASE_URI``, else the bind, else the host's database.

    A host on a SQLite file gets a second file beside its own, a host in memory a temporary file.

    :param db: the host's Flask-SQLAlchemy, initialised on *app*; None if only the configuration is to be read.
    :raise ConfigurationError: if there is none, or the address cannot be read.
    """
    if settings.database_uri:
        return _from_url("MELODY_LOGS_DATABASE_URI", settings.database_uri, {}, settings, app)
    key, value, options = _configured(app, settings.bind_key)
    value = _engine_url(app, db, settings.bind_key) or value
    # Flask-SQLAlchemy gives what its constructor got to every engine.
    options = {**(getattr(db, "_engine_options", None) or {}), **options}
    if not value:
        raise ConfigurationError(
            f'no database for the logs: set "MELODY_LOGS_DATABASE_URI" or "{key}", '
            "for example postgresql+psycopg://user@host/name"
        )
    found = _from_url(key, value, options, settings, app)
    if settings.bind_key or found.url.get_backend_name() != "sqlite":
        return found
    return _beside(found)


def _engine_url(app: Flask, db: Any, bind_key: str | None) -> Any:
    if db is None:
        return None
    try:
        with app.app_context():
            # Flask-SQLAlchemy-Lite calls the main one "default".
            engine = db.engines.get(bind_key) or (None if bind_key else db.engines.get("default"))
    except RuntimeError:
        raise ConfigurationError(
            "init_app(app, db) was given a Flask-SQLAlchemy that is not initialised on this app: "
            "call db.init_app(app) before it"
        ) from None
    return engine.url if engine is not None else None


def _configured(app: Flask, bind_key: str | None) -> tuple[str, Any, Mapping[str, Any]]:
    """Find the key, the address and the engine options that the host's configuration has for a bind, or for none."""
    named = "SQLALCHEMY_ENGINES" if app.config.get("SQLALCHEMY_ENGINES") else "SQLALCHEMY_BINDS"
    if bind_key is None and named == "SQLALCHEMY_BINDS":
        options = app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {}
        return "SQLALCHEMY_DATABASE_URI", app.config.get("SQLALCHEMY_DATABASE_URI"), options
    binds = app.config.get(named) or {}
    if bind_key is not None and bind_key not in binds:
        known = ", ".join(sorted(str(name) for name in binds)) or "there is none"
        raise ConfigurationError(
            f'"MELODY_LOGS_BIND_KEY" is "{bind_key}", which is not in "{named}" ({known}): '
            "add it there, or name one that is"
        )
    bind = binds.get(bind_key or "default")
    options = bind if isinstance(bind, dict) else {"url": bind}
    url = options.get("url")
    return f'{named}["{bind_key or "default"}"]', URL.create(**url) if isinstance(url, dict) else url, options


def _from_url(key: str, value: Any, options: Mapping[str, Any], settings: Settings, app: Flask) -> Destination:
    try:
        url = make_url(value)
        backend = url.get_backend_name()
    except (ArgumentError, TypeError, ValueError, AttributeError):
        raise ConfigurationError(
            f'"{key}" is not a database address; accepted: text such as postgresql+psycopg://user@host/name'
        ) from None
    if backend not in _BACKENDS:
        remedy = '; write "postgresql+psycopg://"' if backend == "postgres" else ""
        raise ConfigurationError(f'"{key}" names the database "{backend}"; accepted: {", ".join(_BACKENDS)}{remedy}')
    kept = {name: option for name, option in options.items() if name not in _NOT_OURS}
    if backend in MARIADB and not (url.database or url.query or "creator" in kept):
        raise ConfigurationError(f'"{key}" names no database: write {backend}+pymysql://user@host/NAME')
    if backend != "sqlite":
        return Destination(url, settings.schema if backend == "postgresql" else None, kept, key=key)
    not_for_files = ("pool_", "max_", "creator")
    kept = {name: option for name, option in kept.items() if not name.startswith(not_for_files)}
    # "file:" begins SQLite's own form of an address: https://www.sqlite.org/uri.html
    path = (url.database or "").removeprefix("file:")
    if path in ("", ":memory:") or url.query.get("mode") == "memory":
        return _temporary()
    if path != url.database:
        url = URL.create(url.drivername)
    # As Flask-SQLAlchemy reads it: relative to the instance folder.
    return Destination(url.set(database=os.path.join(app.instance_path, path)), None, kept, key=key)


def _beside(host: Destination) -> Destination:
    if host.temporary:
        return host
    path = Path(host.url.database or "")
    suffix = path.suffix or ".db"
    return Destination(host.url.set(database=str(path.with_name(f"{path.stem}-logs{suffix}"))), None)


def _temporary() -> Destination:
    folder = tempfile.mkdtemp(prefix="melody_logs-")
    found = Destination(URL.create("sqlite", database=os.path.join(folder, "logs.db")), None, temporary=True)
    weakref.finalize(found, _remove, folder, os.getpid())
    return found


def _remove(folder: str, pid: int) -> None:
    """Remove a temporary folder when its app, or the process, ends; a forked child leaves its parent's alone."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)
