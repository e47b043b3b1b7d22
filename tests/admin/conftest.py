"""A host app with the admin pages and a filled database."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import StrictUndefined

from melody_logs import MelodyLogs
from melody_logs.state import state_of
from melody_logs.storage.database import Database
from melody_logs.storage.schema import upgrade
from tests.admin.samples import fill
from tests.storage.rows import make_database

PREFIX = "/admin/logs"


class MakeApp(Protocol):
    """Makes a host app; *access* is what ``admin_access`` answers, or a function that does, or None for no function.

    Its templates and static files are in *root_path*, by default the test's own folder.
    """

    def __call__(
        self,
        access: Any = "write",
        *,
        filled: bool = True,
        migrated: bool = True,
        kinds: tuple[str, ...] = ("sign-in", "email", "sms"),
        url: str = "",
        root_path: str | None = None,
        **config: Any,
    ) -> Flask: ...


@pytest.fixture(scope="session")
def ready_files(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """An SQLite file with empty tables (False) and a filled one (True), made once and copied for each test."""
    files = {}
    for filled in (False, True):
        files[filled] = tmp_path_factory.mktemp("logs") / "logs.db"
        database = make_database(f"sqlite:///{files[filled]}")
        if filled:
            fill(database)
        database.close()
    return files


@pytest.fixture
def make_app(tmp_path: Path, ready_files: dict[bool, Path]) -> Iterator[MakeApp]:
    """A function that makes a host app with the pages, on SQLite unless *url* names another database."""
    with ExitStack() as stack:

        def make(
            access: Any = "write",
            *,
            filled: bool = True,
            migrated: bool = True,
            kinds: tuple[str, ...] = ("sign-in", "email", "sms"),
            url: str = "",
            root_path: str | None = None,
            **config: Any,
        ) -> Flask:
            app = Flask("host", instance_path=str(tmp_path), root_path=root_path or str(tmp_path))
            app.jinja_env.undefined = StrictUndefined
            app.config.update(
                SECRET_KEY="a key for tests",
                MELODY_LOGS_DATABASE_URI=url or f"sqlite:///{tmp_path / 'logs.db'}",
                MELODY_LOGS_DRAIN_IN_PROCESS=False,
                MELODY_LOGS_RETENTION=[{"kind": "sign-in", "days": 365}],
            )
            app.config.update({f"MELODY_LOGS_ENABLE_{kind.replace('-', '_').upper()}_LOG": True for kind in kinds})
            app.config.update(config)
            logs = MelodyLogs()
            logs.init_app(app)
            if access is not None:
                logs.admin_access(access if callable(access) else lambda: access)
            app.add_url_rule("/", "home", lambda: "the host's own page")
            database = state_of(app).database
            stack.callback(database.close)
            if migrated and not url:
                shutil.copy(ready_files[filled], tmp_path / "logs.db")
            elif migrated:
                upgrade(database)
                fill(database)
            return app

        yield make


#: Runs a test of the pages on the other databases too, as it reads or changes more than one row.
on_each_database = pytest.mark.parametrize("app", ["sqlite", "postgresql", "mariadb"], indirect=True)


@pytest.fixture
def app(request: pytest.FixtureRequest, make_app: MakeApp) -> Flask:
    """A host app whose visitors may do everything, on SQLite or where :data:`on_each_database` says."""
    name = getattr(request, "param", "sqlite")
    return make_app() if name == "sqlite" else make_app(url=request.getfixturevalue(f"{name}_url"))


@pytest.fixture
def database(app: Flask) -> Database:
    """The database of its logs."""
    return state_of(app).database


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A visitor who may do everything."""
    return app.test_client()


@pytest.fixture
def read(client: FlaskClient) -> Callable[..., str]:
    """A function that gets one of the pages, which must be there, and returns its text."""

    def get(path: str, **options: Any) -> str:
        response = client.get(PREFIX + path, **options)
        assert response.status_code == 200, response.text
        return response.text

    return get
