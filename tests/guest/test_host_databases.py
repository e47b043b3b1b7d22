"""Hosts with several binds or another driver: our rows lie where the host says, its session stays its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect, make_url, text

from melody_logs.state import state_of
from melody_logs.storage.schema import upgrade
from tests.conftest import ServedDatabase
from tests.guest.conftest import API, CLEAN, KEYS, PAGES, MoveIn, NewHost, bearer, read_form
from tests.servers.processes import wait_until
from tests.servers.server import Server
from tests.storage.rows import read_all


@pytest.fixture
def open_hosts() -> Iterator[list[tuple[Flask, Any]]]:
    """Hosts with their Flask-SQLAlchemy, whose engines are closed after the test."""
    opened: list[tuple[Flask, Any]] = []
    yield opened
    for app, db in opened:
        with app.app_context():
            for engine in db.engines.values():
                engine.dispose()


def make_db(app: Flask, hosts: list[tuple[Flask, Any]]) -> tuple[Any, Any]:
    """Give a host a Flask-SQLAlchemy with one table."""
    db: Any = SQLAlchemy(app)

    class User(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(80))

    hosts.append((app, db))
    return db, User


def ours_in(engine: Any) -> set[str]:
    """Name our tables in a database of the host, with their schema on PostgreSQL."""
    schemas = ["public", "melody_logs"] if engine.dialect.name == "postgresql" else [None]
    found = {(schema, name) for schema in schemas for name in inspect(engine).get_table_names(schema=schema)}
    assert ("public", "melody_sign_in_log") not in found
    return {name for _, name in found if name.startswith("melody_")}


@pytest.mark.parametrize("bind", [None, "audit"])
def test_logs_lie_in_the_bind_that_the_host_names(
    new_host: NewHost,
    move_in: MoveIn,
    open_hosts: list[tuple[Flask, Any]],
    served_database: ServedDatabase,
    bind: str | None,
) -> None:
    """And in no other; the host's own ``create_all`` makes none of our tables."""
    binds = {"audit": served_database.url, "other": {"url": "sqlite:///other.db"}}
    app = new_host(
        MELODY_LOGS_DATABASE_URI=None,
        MELODY_LOGS_BIND_KEY=bind,
        SQLALCHEMY_DATABASE_URI="sqlite:///app.db",
        SQLALCHEMY_BINDS=binds,
    )
    db, _ = make_db(app, open_hosts)
    logs = move_in(app, db=db)
    upgrade(state_of(app).database)
    with app.app_context():
        found = {key: ours_in(engine) for key, engine in db.engines.items()}
        db.create_all()
        logs.record_sign_in(identity="ann@example.org", success=True)
        assert found == {key: ours_in(engine) for key, engine in db.engines.items()}
    assert {key for key, ours in found.items() if ours} == ({"audit"} if bind else set())
    assert len(read_all(state_of(app).database, "sign-in")) == 1
    client = app.test_client()
    assert client.get(f"{API}/sign-in", headers=bearer(app)).json["count"] == 1  # type: ignore[index]
    assert client.post(CLEAN, data=read_form(client)).status_code == 303


#: Hosts' drivers, and what such a host says to its sessions: ours must not inherit the time zone.
DRIVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "postgresql+psycopg2": ("postgresql_url", {"options": "-c timezone=Asia/Tokyo"}),
    "mysql+pymysql": ("mariadb_url", {"init_command": "SET time_zone = '+09:00'", "charset": "latin1"}),
    "mariadb+pymysql": ("mariadb_url", {"init_command": "SET sql_mode = 'ANSI_QUOTES'"}),
}


@pytest.fixture(params=list(DRIVERS))
def host(
    request: pytest.FixtureRequest, new_host: NewHost, move_in: MoveIn, open_hosts: list[tuple[Flask, Any]]
) -> Any:
    """A host with its logs beside its data; gives app, logs, db and the model of users."""
    fixture, arguments = DRIVERS[request.param]
    url = make_url(request.getfixturevalue(fixture)).set(drivername=request.param)
    app = new_host(
        MELODY_LOGS_DATABASE_URI=None,
        MELODY_LOGS_DIRECT_TIMEOUT_MILLISECONDS=1000,
        SQLALCHEMY_DATABASE_URI=url.render_as_string(hide_password=False),
        SQLALCHEMY_ENGINE_OPTIONS={"connect_args": arguments, "pool_size": 2},
    )
    db, user = make_db(app, open_hosts)
    logs = move_in(app, db=db)
    upgrade(state_of(app).database)
    with app.app_context():
        db.create_all()
    return app, logs, db, user


def test_everything_works_by_the_hosts_driver(host: Any, request: pytest.FixtureRequest) -> None:
    app, logs, _, _ = host
    database = state_of(app).database
    assert database.url.drivername == request.node.callspec.params["host"]
    with app.app_context():
        logs.record_sign_in(identity="ann@example.org", success=True)
        with logs.sending_email(receiver="ann@example.org", subject="Hello 🎵", content="text") as sending:
            sending.sent("250 OK")
    (row,) = read_all(database, "sign-in")
    assert abs((row.recorded_at - row.occurred_at).total_seconds()) < 60, "the session's time zone shifts nothing"
    assert [(row.status, row.subject) for row in read_all(database, "email")] == [("sent", "Hello 🎵")]
    client, headers = app.test_client(), bearer(app)
    assert client.get(f"{API}/sign-in", headers=headers).json["count"] == 1
    assert client.get(f"{PAGES}/email/1").status_code == 200
    assert client.post(CLEAN, data=read_form(client)).status_code == 303
    assert len(read_all(database, "sign-in")) == 1
    done = app.test_cli_runner().invoke(args=["melody-logs", "db", "current"])
    assert done.exit_code == 0, done.output


def test_rollback_of_the_host_keeps_the_attempt_and_drops_its_row(host: Any) -> None:
    app, logs, db, user = host

    @app.post("/sign-in")
    def sign_in() -> Any:
        db.session.add(user(name="ann"))
        db.session.flush()
        logs.record_sign_in(identity="ann@example.org", success=False)
        raise RuntimeError("the host's own fault")

    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert app.test_client().post("/sign-in").status_code == 500
    with app.app_context():
        assert db.session.query(user).count() == 0
    assert [row.outcome for row in read_all(state_of(app).database, "sign-in")] == ["failure"]


TAKE_AWAY = {
    "postgresql": "ALTER SCHEMA melody_logs RENAME TO gone",
    **dict.fromkeys(["mysql", "mariadb"], "DROP TABLE melody_total, melody_sms_log, melody_signing_key"),
}


def test_failing_logs_do_not_poison_the_session_of_the_host(host: Any) -> None:
    app, logs, db, user = host
    with app.app_context():
        db.session.add(user(name="ann"))
        with db.engine.begin() as connection:
            connection.execute(text(TAKE_AWAY[db.engine.dialect.name]))
        assert logs.record_sign_in(identity="ann@example.org", success=True)
        assert app.test_client().get(f"{PAGES}/sign-in").status_code == 503
        assert app.test_client().get(KEYS).status_code == 503
        db.session.commit()
        assert db.session.query(user).count() == 1


def test_frozen_server_is_given_up_by_the_hosts_driver_too(host: Any, request: pytest.FixtureRequest) -> None:
    """Its connections are broken off; afterwards the entry comes by itself."""
    app, logs, _, _ = host
    name = "postgresql_server" if state_of(app).database.dialect_name == "postgresql" else "mariadb_server"
    server: Server = request.getfixturevalue(name)
    database = state_of(app).database
    with app.app_context():
        logs.record_sign_in(identity="before", success=True, account_known=True)
    client = app.test_client()
    assert client.get(f"{PAGES}/sign-in").status_code == 200
    server.pause()
    try:
        with database.reads_within(0.5):
            assert client.get(f"{PAGES}/sign-in").status_code == 503
    finally:
        server.resume()
    with app.app_context():
        logs.record_sign_in(identity="after", success=True, account_known=True)
    wait_until(lambda: len(read_all(database, "sign-in")) == 2, what="both attempts")
