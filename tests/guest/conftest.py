"""Hosts of all sorts, each made with the real libraries, into which melody_logs moves as a guest."""

from __future__ import annotations

import re
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from melody_logs import MelodyLogs
from melody_logs.clients.registry import create_client
from melody_logs.state import state_of
from tests.guest.serving import start_server
from tests.hosts import ALL_KINDS, add_login_view, close_host
from tests.servers.web import serving
from tests.storage.rows import make_database, sign_in, write

if TYPE_CHECKING:
    from tests.guest.troubled import TroubledHost

__all__ = ["start_server"]

PAGES = "/admin/logs"
CLEAN = f"{PAGES}/sign-in/clean"
API = "/api/v1/logs"
TOKEN = "/oauth2/v1/token"
KEYS = "/.well-known/jwks.json"
#: The blueprints of a program's calls, by which a host tells them from its visitors.
API_BLUEPRINTS = frozenset({"melody_logs_token", "melody_logs_keys", "melody_logs_api"})

NewHost = Callable[..., Flask]
MoveIn = Callable[..., MelodyLogs]


@pytest.fixture(scope="session")
def empty_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with our tables, made once and copied for each host."""
    path = tmp_path_factory.mktemp("logs") / "logs.db"
    make_database(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def new_host(tmp_path: Path, empty_logs: Path) -> NewHost:
    """A function that makes a host without melody_logs: a home page and a form; its logs will lie in an SQLite file."""

    def make(name: str = "host", **config: Any) -> Flask:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(empty_logs, folder / "logs.db")
        app = Flask(name, instance_path=str(folder))
        app.config.update(
            SECRET_KEY="a key for tests",
            MELODY_LOGS_DATABASE_URI=f"sqlite:///{folder / 'logs.db'}",
            MELODY_LOGS_WRITER="direct",
            MELODY_LOGS_DIRECT_TIMEOUT_MILLISECONDS=10_000,
            **ALL_KINDS,
        )
        app.config.update(config)
        app.add_url_rule("/", "home", lambda: "the host's own page")
        app.add_url_rule("/form", "form", lambda: "done", methods=["POST"])
        return app

    return make


@pytest.fixture
def move_in() -> Iterator[MoveIn]:
    """A function that initialises melody_logs on a host; visitors of the pages may do everything unless told else."""
    apps: list[Flask] = []

    def move(app: Flask, *, access: Any = "write", db: Any = None) -> MelodyLogs:
        logs = MelodyLogs()
        logs.admin_access(access if callable(access) else lambda: access)
        logs.init_app(app, db)
        apps.append(app)
        return logs

    yield move
    for app in apps:
        close_host(app)


@pytest.fixture
def trouble(new_host: NewHost, move_in: MoveIn) -> Iterator[Callable[..., TroubledHost]]:
    """A function that makes and serves a host with a watched login view; the test brings the trouble."""
    from tests.guest.troubled import TroubledHost

    with ExitStack() as stack:

        def make(name: str = "host", **config: Any) -> TroubledHost:
            app = new_host(name, **{"MELODY_LOGS_WRITER": "spool"} | config)
            app.view_functions.pop("home")
            add_login_view(app)
            move_in(app).watch_sign_in("auth.login")
            return TroubledHost(app, stack.enter_context(serving(app)))

        yield make


def ask_token(app: Flask, *, client: FlaskClient | None = None, path: str = TOKEN, **options: Any) -> TestResponse:
    """Ask for a token as a new client with every right."""
    made = create_client(state_of(app).database, f"client of {app.name}", ["root"])
    basic = b64encode(f"{made.client_id}:{made.client_secret}".encode()).decode()
    form = {"grant_type": "client_credentials", "scope": "root"}
    headers = {"Authorization": f"Basic {basic}"}
    return (client or app.test_client()).post(path, data=form, headers=headers, **options)


def bearer(app: Flask, **options: Any) -> dict[str, str]:
    """Give the header of a caller that has a token."""
    answer: Any = ask_token(app, **options).json
    return {"Authorization": f"Bearer {answer['access_token']}"}


def read_form(client: FlaskClient, *, mount: str = "", **options: Any) -> dict[str, str]:
    """Open our page that asks before a clean-up, with something to clean, and read the hidden fields of its form."""
    write(state_of(client.application).database, sign_in(), age=timedelta(days=40))
    page = client.get(f"{mount}{CLEAN}", **options)
    assert page.status_code == 200, page.text
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text))
