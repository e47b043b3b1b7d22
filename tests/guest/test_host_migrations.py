"""Hosts with Flask-Migrate: their commands neither see our tables nor change them, wherever those lie."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect

from melody_logs.state import state_of
from melody_logs.storage.columns import VERSION_TABLE
from melody_logs.storage.schema import upgrade
from tests.conftest import ServedDatabase
from tests.guest.conftest import MoveIn, NewHost
from tests.storage.rows import message, read_all, write


class Host:
    """A host app with one table and migrations of its own.

    :param before: initialise Flask-Migrate before melody_logs moves in, not after.
    """

    def __init__(self, app: Flask, move_in: MoveIn, *, before: bool = False, **options: Any) -> None:
        self.app = app
        self.db: Any = SQLAlchemy(app)
        self.folder = Path(app.instance_path) / "migrations"
        db: Any = self.db

        class User(db.Model):
            __tablename__ = "user_account"
            id = db.Column(db.Integer, primary_key=True)

        self.user = User
        migrate = Migrate(directory=str(self.folder), **options)
        if before:
            migrate.init_app(app, db)
        move_in(app, db=db)
        if not before:
            migrate.init_app(app, db)
        upgrade(state_of(app).database)
        write(state_of(app).database, message())

    def run(self, *arguments: str, exit_code: int = 0) -> str:
        """Run ``flask db ...`` and return what it printed."""
        self.forget_last_command()
        done = self.app.test_cli_runner().invoke(args=["db", *arguments])
        assert done.exit_code == exit_code, (done.output, done.exception)
        return done.output

    def forget_last_command(self) -> None:
        """Take back what env.py kept for the only command that a process runs otherwise."""
        self.app.extensions["migrate"].configure_args.pop("process_revision_directives", None)

    def revisions(self) -> list[str]:
        """Read the host's own revisions, in the order of their names."""
        return [path.read_text() for path in sorted((self.folder / "versions").glob("*.py"))]

    def close(self) -> None:
        """Close the connections of the host."""
        with self.app.app_context():
            for engine in self.db.engines.values():
                engine.dispose()


MakeHost = Callable[..., Host]
# Flask-Migrate's env.py asks an older Flask-SQLAlchemy first.
pytestmark = pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Flask-Migrate's env.py sets logging up for a process of its own: it replaces handlers and silences the others."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture
def make_host(new_host: NewHost, move_in: MoveIn) -> Iterator[MakeHost]:
    """A function that makes a host whose data lies at a URL, with its logs where the settings say."""
    made: list[Host] = []

    def make(url: str, *, before: bool = False, options: dict[str, Any] | None = None, **config: Any) -> Host:
        app = new_host(**{"MELODY_LOGS_DATABASE_URI": None, "SQLALCHEMY_DATABASE_URI": url} | config)
        made.append(Host(app, move_in, before=before, **options or {}))
        return made[-1]

    yield make
    for host in made:
        host.close()


def assert_untouched(host: Host) -> None:
    """Check that our tables are there with their row, and that the host's migrations do not name them."""
    assert len(read_all(state_of(host.app).database, "email")) == 1
    assert not [text for text in host.revisions() if "melody" in text]


def live_with_migrations(host: Host) -> None:
    """Do what a host does over the months: begin, change a model, check, go back and forth."""
    host.run("init")
    host.run("migrate", "-m", "first")
    (first,) = host.revisions()
    assert "user_account" in first
    host.run("upgrade")
    host.run("check")
    host.run("migrate", "-m", "nothing")
    assert len(host.revisions()) == 1, "nothing of ours is proposed"
    host.db.Table("invoice", host.db.metadata, host.db.Column("id", host.db.Integer, primary_key=True))
    host.run("check", exit_code=1)
    host.run("migrate", "-m", "second")
    host.run("upgrade")
    host.run("check")
    assert_untouched(host)
    host.run("downgrade", "base")
    with host.app.app_context():
        assert not {"user_account", "invoice"} & set(inspect(host.db.engine).get_table_names())
    assert_untouched(host)


#: What a host passes to Flask-Migrate that compares all there is.
EVERYTHING = {"include_schemas": True, "compare_type": True, "compare_server_default": True}


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["own schema", "all schemas"])
def test_host_on_postgresql(make_host: MakeHost, postgresql_url: str, before: bool, options: dict[str, Any]) -> None:
    """The logs lie in the same database, in a schema of their own."""
    live_with_migrations(make_host(postgresql_url, before=before, options=options))


def test_host_on_postgresql_with_the_logs_in_its_own_schema(make_host: MakeHost, postgresql_url: str) -> None:
    host = make_host(postgresql_url, MELODY_LOGS_SCHEMA="public")
    live_with_migrations(host)
    assert VERSION_TABLE in inspect(state_of(host.app).database.engine).get_table_names(schema="public")


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_host_on_mariadb(make_host: MakeHost, mariadb_url: str, name: str, before: bool) -> None:
    """The logs lie in the same database, among the host's own tables; SQLAlchemy has two names for it."""
    host = make_host(mariadb_url.replace("mysql", name, 1), before=before)
    live_with_migrations(host)
    assert {VERSION_TABLE, "alembic_version"} <= set(inspect(state_of(host.app).database.engine).get_table_names())


def test_host_on_sqlite(make_host: MakeHost) -> None:
    """The logs lie in a second file beside its own."""
    live_with_migrations(make_host("sqlite:///app.db"))


@pytest.mark.parametrize("before", [True, False])
def test_host_that_shares_its_sqlite_file_with_the_logs(make_host: MakeHost, before: bool) -> None:
    live_with_migrations(make_host("sqlite:///app.db", before=before, MELODY_LOGS_DATABASE_URI="sqlite:///app.db"))


def test_host_with_several_binds_migrates_each(make_host: MakeHost, served_database: ServedDatabase) -> None:
    """One of them holds the logs, too."""
    url = served_database.url
    host = make_host(
        "sqlite:///app.db",
        SQLALCHEMY_BINDS={"audit": url},
        MELODY_LOGS_BIND_KEY="audit",
        # A schema of MariaDB is another database, and not the host's.
        options={"include_schemas": True} if url.startswith("postgresql") else {},
    )
    host.run("init", "--multidb")
    host.run("migrate", "-m", "first")
    host.run("upgrade")
    host.run("migrate", "-m", "nothing")
    host.run("check")
    assert_untouched(host)


#: What hosts write into their env.py, each a filter of their own.
FILTERS = {
    "include_name": "include_name=lambda name, type_, parents: name != 'legacy',",
    "include_object": "include_object=lambda thing, name, type_, reflected, compare_to: name != 'legacy',",
}


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("name", list(FILTERS))
def test_filter_in_the_env_file_of_the_host_stays(make_host: MakeHost, name: str, before: bool) -> None:
    """A second argument of that name would end each of its commands with a TypeError."""
    host = make_host("sqlite:///app.db", before=before, MELODY_LOGS_DATABASE_URI="sqlite:///app.db")
    host.run("init")
    env = host.folder / "env.py"
    text = env.read_text()
    env.write_text(text.replace("            **conf_args\n", f"            {FILTERS[name]}\n            **conf_args\n"))
    assert env.read_text() != text
    with host.app.app_context(), host.db.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE legacy (id INTEGER)")
    host.run("migrate", "-m", "first")
    host.run("upgrade")
    host.run("check")
    assert_untouched(host)
    assert "legacy" not in host.revisions()[0]


def test_filters_that_the_host_gives_flask_migrate_stay(make_host: MakeHost) -> None:
    def include_name(name: str | None, type_: str, parents: Any) -> bool:
        return name != "legacy"

    options = {"include_name": include_name}
    host = make_host("sqlite:///app.db", options=options, MELODY_LOGS_DATABASE_URI="sqlite:///app.db")
    host.run("init")
    with host.app.app_context(), host.db.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE legacy (id INTEGER)")
    host.run("migrate", "-m", "first")
    assert "legacy" not in host.revisions()[0]
    assert_untouched(host)


def test_check_by_a_call_instead_of_a_command(make_host: MakeHost) -> None:
    """As in a host's test that no migration is missing."""
    host = make_host("sqlite:///app.db", before=True, MELODY_LOGS_DATABASE_URI="sqlite:///app.db")
    with host.app.app_context():
        flask_migrate.init()
        flask_migrate.migrate(message="first")
        flask_migrate.upgrade()
        host.forget_last_command()
        flask_migrate.check()
    assert_untouched(host)
