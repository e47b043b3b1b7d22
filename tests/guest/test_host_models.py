"""Hosts that keep their data with Flask-SQLAlchemy-Lite, with SQLAlchemy alone, or by an address without a driver."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy_lite import SQLAlchemy as SQLAlchemyLite
from sqlalchemy import Engine, create_engine, inspect, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from melody_logs import ConfigurationError
from melody_logs.state import state_of
from melody_logs.storage.schema import upgrade
from tests.guest.conftest import API, CLEAN, MoveIn, NewHost, bearer, read_form
from tests.storage.rows import read_all


class Base(DeclarativeBase):
    """The host's own base."""


class Account(Base):
    """The host's only table."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


def assert_ours_works(app: Flask, logs: Any) -> None:
    """Record, read as a program, and clean."""
    with app.app_context():
        logs.record_sign_in(identity="ann@example.org", success=True)
    assert [row.identity for row in read_all(state_of(app).database, "sign-in")] == ["ann@example.org"]
    client = app.test_client()
    assert client.get(f"{API}/sign-in", headers=bearer(app)).json["count"] == 1  # type: ignore[index]
    assert client.post(CLEAN, data=read_form(client)).status_code == 303


def assert_host_is_alone(engine: Engine) -> None:
    """Check that the host's own comparison of its models with the database proposes nothing."""
    assert inspect(engine).get_table_names() == ["account"]
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


@pytest.fixture(autouse=True)
def no_event_loop() -> Iterator[None]:
    """A thread as a web server has it: playwright leaves an event loop in that of the tests, beside which Flask refuses
    the asynchronous teardown of Flask-SQLAlchemy-Lite.
    """
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(loop)


@pytest.fixture
def lite() -> Iterator[Any]:
    """The host's Flask-SQLAlchemy-Lite, whose engines are closed after the test."""
    db = SQLAlchemyLite()
    used: list[Flask] = []
    yield db, used
    for app in used:
        with app.app_context():
            for engine in db.engines.values():
                engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_host_with_flask_sqlalchemy_lite(
    new_host: NewHost, move_in: MoveIn, lite: Any, kind: str, request: pytest.FixtureRequest
) -> None:
    """A view that rolls back keeps its attempt, and loses its row."""
    url = "sqlite:///app.db" if kind == "sqlite" else request.getfixturevalue("postgresql_url")
    app = new_host(MELODY_LOGS_DATABASE_URI=None, SQLALCHEMY_ENGINES={"default": url})
    db, used = lite
    db.init_app(app)
    used.append(app)
    logs = move_in(app, db=db)
    upgrade(state_of(app).database)

    @app.post("/sign-in")
    def sign_in_view() -> str:
        db.session.add(Account(name="ann"))
        db.session.flush()
        logs.record_sign_in(identity="lost@example.org", success=False)
        db.session.rollback()
        return str(len(db.session.scalars(select(Account)).all()))

    with app.app_context():
        Base.metadata.create_all(db.engine)
    assert app.test_client().post("/sign-in").text == "0"
    with app.app_context():
        assert_host_is_alone(db.engine)
        (row,) = read_all(state_of(app).database, "sign-in")
        assert row.identity == "lost@example.org"


def test_bind_of_flask_sqlalchemy_lite_that_there_is_not(new_host: NewHost, move_in: MoveIn, lite: Any) -> None:
    app = new_host(
        MELODY_LOGS_DATABASE_URI=None, MELODY_LOGS_BIND_KEY="audit", SQLALCHEMY_ENGINES={"default": "sqlite://"}
    )
    lite[0].init_app(app)
    lite[1].append(app)
    with pytest.raises(ConfigurationError, match=r'not in "SQLALCHEMY_ENGINES" \(default\): add it there'):
        move_in(app, db=lite[0])


@pytest.fixture
def engine(postgresql_url: str) -> Iterator[Engine]:
    """The host's own engine."""
    made = create_engine(postgresql_url)
    yield made
    made.dispose()


def test_host_with_sqlalchemy_alone(new_host: NewHost, move_in: MoveIn, engine: Engine, postgresql_url: str) -> None:
    """It names its database once more for the logs; they share it, and neither sees the other's tables."""
    app = new_host(MELODY_LOGS_DATABASE_URI=postgresql_url)
    logs = move_in(app)
    upgrade(state_of(app).database)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Account(name="ann"))
        session.flush()
        assert_ours_works(app, logs)
        session.commit()
        assert session.scalars(select(Account.name)).all() == ["ann"]
    assert_host_is_alone(engine)


def test_address_without_a_driver_means_the_same_for_both(
    new_host: NewHost, move_in: MoveIn, postgresql_url: str
) -> None:
    """SQLAlchemy chooses, psycopg2 up to 2.0 and psycopg from 2.1 on; what the host's URL says of the server holds."""
    app = new_host(MELODY_LOGS_DATABASE_URI=None, SQLALCHEMY_DATABASE_URI=postgresql_url.replace("+psycopg:", ":", 1))
    db: Any = SQLAlchemy(app)
    logs = move_in(app, db=db)
    upgrade(state_of(app).database)
    assert_ours_works(app, logs)
    with app.app_context():
        assert db.session.execute(text("SELECT 1")).scalar() == 1
        assert db.engine.dialect.driver == state_of(app).database.engine.dialect.driver
        db.session.remove()
        db.engine.dispose()
