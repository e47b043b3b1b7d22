"""Factories, several apps in one process, and the host's own Babel beside us."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask, request
from flask_babel import Babel, format_datetime, gettext
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from melody_logs import MelodyLogs
from melody_logs.state import state_of
from tests.guest.conftest import API, CLEAN, KEYS, PAGES, MoveIn, NewHost, bearer, read_form
from tests.hosts import add_login_view, close_host
from tests.servers.processes import wait_until
from tests.storage.rows import message, read_all, write


@pytest.fixture
def factory(new_host: NewHost) -> Iterator[Any]:
    """A host's factory around extensions of its module; a second call makes a second app on the same database."""
    db: Any = SQLAlchemy()
    logs = MelodyLogs()
    logs.watch_sign_in("auth.login")
    logs.admin_access(lambda: "write")
    protection = CSRFProtect()
    made: list[Flask] = []
    first = new_host("factory")

    def create_app() -> Flask:
        app = Flask("factory", instance_path=first.instance_path)
        app.config.update(first.config, SQLALCHEMY_DATABASE_URI="sqlite:///app.db", MELODY_LOGS_WRITER="spool")
        db.init_app(app)
        protection.init_app(app)
        add_login_view(app)
        protection.exempt(app.view_functions["auth.login"])
        logs.init_app(app, db)
        made.append(app)
        return app

    yield create_app
    for app in made:
        close_host(app)
        with app.app_context():
            for engine in db.engines.values():
                engine.dispose()


def test_factory_called_twice_records_each_attempt_once(factory: Any) -> None:
    """As by a test suite, or by a command that makes an app beside the one that runs."""
    apps = [factory() for _ in range(2)]
    for turn in range(6):
        form = {"email": f"p{turn}@example.org", "password": "right"}
        assert apps[turn % 2].test_client().post("/login", data=form).status_code == 302
    database = state_of(apps[0]).database
    expected = [f"p{turn}@example.org" for turn in range(6)]

    def recorded() -> list[str]:
        return sorted(row.identity for row in read_all(database, "sign-in"))

    wait_until(lambda: recorded() == expected, what="each attempt in the log, once")
    folders = {state_of(app).spool.directory for app in apps}
    assert len(folders) == 1
    assert len(list(folders.pop().glob("*.spool"))) <= 2, "each app has a file of its own"
    client = apps[1].test_client()
    assert client.get(f"{API}/sign-in", headers=bearer(apps[0])).json["count"] == 6
    assert client.post(CLEAN, data=read_form(client)).status_code == 303


def test_two_apps_in_one_process_share_nothing(new_host: NewHost, move_in: MoveIn) -> None:
    """Neither rows, nor who may enter, nor tokens, nor where things are."""
    first = new_host("first")
    second = new_host("second", SECRET_KEY="another", MELODY_LOGS_ADMIN_PREFIX="/logbook", MELODY_LOGS_API_PREFIX="/v2")
    move_in(first, access="write").watch_sign_in("auth.login")
    move_in(second, access=None)
    for app in (first, second):
        app.view_functions.pop("home")
        add_login_view(app)
        app.test_client().post("/login", data={"email": "ann@example.org", "password": "right"})
    assert [len(read_all(state_of(app).database, "sign-in")) for app in (first, second)] == [1, 0]
    assert first.test_client().get(f"{PAGES}/").status_code == 200
    assert second.test_client().get("/logbook/").status_code == 403
    assert second.test_client().get(f"{PAGES}/").status_code == 404
    headers = bearer(first)
    assert first.test_client().get(f"{API}/email", headers=headers).status_code == 200
    assert second.test_client().get("/v2/email", headers=headers).status_code == 401
    assert first.test_client().get(KEYS).json != second.test_client().get(KEYS).json


@pytest.mark.parametrize("before", [True, False])
def test_host_with_babel_keeps_its_languages_and_we_our_words(new_host: NewHost, move_in: MoveIn, before: bool) -> None:
    def add_babel(app: Flask) -> None:
        def choose() -> str:
            return request.accept_languages.best_match(["en", "fr"]) or "en"

        Babel(app, default_timezone="Asia/Tokyo", locale_selector=choose)
        moment = datetime(2025, 1, 3, 20, tzinfo=UTC)
        app.add_url_rule("/when", "when", lambda: f"{gettext('hello')} {format_datetime(moment, 'd MMMM HH:mm')}")

    pages = []
    for name in ("plain", "translated"):
        app = new_host(name)
        if name == "translated" and before:
            add_babel(app)
        move_in(app)
        if name == "translated" and not before:
            add_babel(app)
        write(state_of(app).database, message())
        pages.append(app.test_client().get(f"{PAGES}/email/1", headers={"Accept-Language": "fr"}).text)
    assert "<title>" in pages[0]
    assert strip_times(pages[0]) == strip_times(pages[1])
    client, french = app.test_client(), {"Accept-Language": "fr"}
    assert client.post(CLEAN, data=read_form(client, headers=french), headers=french).status_code == 303
    (row,) = client.get(f"{API}/email", headers=bearer(app) | french).json["logs"]  # type: ignore[index]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row["createdAt"])
    assert client.get("/when", headers=french).text == "hello 4 janvier 05:00"


def strip_times(page: str) -> str:
    """Leave out when and as which event the row was recorded, and the token of the visitor's session."""
    page = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9]+", "", page)
    return re.sub(r"(X-CSRFToken[^>]*>|name=\"csrf_token\" value=\"[^\"]*\")", "", page)


def test_host_in_memory_records_at_once_and_may_upgrade_too(new_host: NewHost, move_in: MoveIn) -> None:
    """A test suite or its set-up script; there is nothing to make, and the command says so."""
    app = new_host(MELODY_LOGS_DATABASE_URI=None, SQLALCHEMY_DATABASE_URI="sqlite://")
    logs = move_in(app)
    with app.app_context():
        logs.record_sms(receiver="+16471231111", success=True)
    for _ in range(2):
        done = app.test_cli_runner().invoke(args=["melody-logs", "db", "upgrade"])
        assert done.exit_code == 0, (done.output, done.exception)
    assert app.test_cli_runner().invoke(args=["melody-logs", "db", "current"]).exit_code == 0
    assert len(read_all(state_of(app).database, "sms")) == 1
    assert app.test_client().get(f"{PAGES}/sms").status_code == 200
