"""Hosts whose address of the logs leads nowhere, or whose keys are missing: the start never fails for it later."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder

import httpx
import pytest
from sqlalchemy import Connection, create_engine, make_url, text

from melody_logs import ConfigurationError
from melody_logs.clients.registry import create_client
from melody_logs.state import state_of
from tests.guest.conftest import TOKEN, MoveIn, NewHost
from tests.guest.troubled import FORM, TroubledHost, one_sentence
from tests.servers.postgresql import PostgresqlServer
from tests.servers.processes import free_port

MakeTrouble = Callable[..., TroubledHost]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"MELODY_LOGS_DATABASE_URI": "not an address"}, '"MELODY_LOGS_DATABASE_URI" is not a database address'),
        ({"MELODY_LOGS_DATABASE_URI": "postgresql://ann@host:port/x"}, '"MELODY_LOGS_DATABASE_URI" is not a database'),
        ({"MELODY_LOGS_DATABASE_URI": "oracle://ann@host/x"}, 'names the database "oracle"; accepted: postgresql, '),
        ({"MELODY_LOGS_DATABASE_URI": "postgres://ann@host/x"}, 'write "postgresql'),
        ({"MELODY_LOGS_DATABASE_URI": "", "MELODY_LOGS_BIND_KEY": "audit"}, '"audit", which is not in'),
        ({"MELODY_LOGS_DATABASE_URI": ""}, 'no database for the logs: set "MELODY_LOGS_DATABASE_URI" or'),
    ],
)
def test_setting_that_can_never_work_is_refused_at_start(
    new_host: NewHost, move_in: MoveIn, config: dict[str, str], said: str
) -> None:
    """And leaves nothing behind: the host that goes on without us answers as before."""
    app = new_host(**config)
    before = (len(list(app.url_map.iter_rules())), set(app.blueprints), set(app.cli.commands))
    with pytest.raises(ConfigurationError) as refused:
        move_in(app)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 250
    assert (len(list(app.url_map.iter_rules())), set(app.blueprints), set(app.cli.commands)) == before
    assert app.extensions == {} and not app.before_request_funcs
    assert app.test_client().get("/").text == "the host's own page"


class _Hidden(MetaPathFinder):
    """Hides a package, as if it were not installed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse the package and let all others pass."""
        if fullname.partition(".")[0] == self.name:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@contextmanager
def not_installed(package: str) -> Iterator[None]:
    """Let the imports of a package fail inside the block."""
    hidden = _Hidden(package)
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == package}
    for name in kept:
        del sys.modules[name]
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)
        sys.modules.update(kept)


@pytest.mark.parametrize(
    ("scheme", "package", "said"),
    [
        (
            "postgresql+psycopg",
            "psycopg",
            'the database driver "psycopg" is not installed: run "pip install melody-logs[postgresql]"',
        ),
        ("mysql+pymysql", "pymysql", '"pymysql" is not installed: run "pip install melody-logs[mariadb]"'),
        (
            "postgresql+psycopg2",
            "psycopg2",
            '"psycopg2" is not installed: begin "MELODY_LOGS_DATABASE_URI" with "postgresql+psycopg://" and run '
            '"pip install melody-logs[postgresql]"',
        ),
        ("postgresql+nonsense", "none", '"postgresql+nonsense" is not known: begin "MELODY_LOGS_DATABASE_URI" with'),
    ],
)
def test_driver_that_is_not_there(trouble: MakeTrouble, scheme: str, package: str, said: str) -> None:
    """The sentence names the extra that brings it."""
    with not_installed(package):
        host = trouble(MELODY_LOGS_DATABASE_URI=f"{scheme}://ann@127.0.0.1/shop", MELODY_LOGS_DRAIN_IN_PROCESS=False)
        host.sign_in("ann")
        assert said in host.find_bad("Database")
        for command in (["db", "upgrade"], ["drain"], ["client", "list"]):
            assert said in one_sentence(host.command(*command, exit_code=1))
        host.assert_pages_are_closed()
        host.assert_api_is_closed()
        host.assert_waiting(1)


def test_server_that_is_not_there(trouble: MakeTrouble) -> None:
    port = free_port()
    host = trouble(MELODY_LOGS_DATABASE_URI=f"postgresql+psycopg://ann:hunter2@127.0.0.1:{port}/shop")
    host.sign_in("ann")
    said = host.find_bad("Database")
    assert said.startswith(f"postgresql+psycopg://ann:***@127.0.0.1:{port}/shop does not answer (")
    assert said.endswith('start it, or correct its address in "MELODY_LOGS_DATABASE_URI"')
    host.assert_waiting(1)


@pytest.fixture
def owner(postgresql_url: str, postgresql_server: PostgresqlServer) -> Iterator[Connection]:
    """A connection of the server's owner; the server asks the user ``locked`` for a password, and nobody else."""
    rules = postgresql_server.data_folder / "pg_hba.conf"
    rules_before = rules.read_text()
    engine = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE ROLE locked LOGIN SUPERUSER PASSWORD 'right'"))
        rules.write_text(f"host all locked 127.0.0.1/32 scram-sha-256\n{rules_before}")
        connection.execute(text("SELECT pg_reload_conf()"))
        yield connection
        rules.write_text(rules_before)
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text("DROP DATABASE IF EXISTS no_shop WITH (FORCE)"))
        for role in ("locked", "nobody_here", "shut_out"):
            if connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": role}):
                connection.execute(text(f"DROP OWNED BY {role} CASCADE"))
                connection.execute(text(f"DROP ROLE {role}"))
    engine.dispose()


@pytest.mark.parametrize(
    ("part", "reason", "remedy"),
    [
        ({"database": "no_shop"}, 'database "no_shop" does not exist', "CREATE DATABASE no_shop"),
        (
            {"username": "locked", "password": "other"},
            'password authentication failed for user "locked"',
            "ALTER ROLE locked PASSWORD 'other'",
        ),
        ({"username": "nobody_here"}, 'role "nobody_here" does not exist', "CREATE ROLE nobody_here SUPERUSER LOGIN"),
    ],
)
def test_server_that_refuses_us(
    trouble: MakeTrouble, postgresql_url: str, owner: Connection, part: dict[str, str], reason: str, remedy: str
) -> None:
    """A name or a password is wrong; when the server is as the address says, what waited is there once."""
    url = make_url(postgresql_url).set(**part)  # type: ignore[arg-type]
    host = trouble(MELODY_LOGS_DATABASE_URI=url.render_as_string(hide_password=False))
    host.sign_in("ann", "bob")
    said = host.find_bad("Database")
    assert " refuses us (" in said and reason in said and "other@" not in said
    assert said.endswith('correct the user, the password or the name of the database in "MELODY_LOGS_DATABASE_URI"')
    assert said in one_sentence(host.command("db", "upgrade", exit_code=1))
    host.assert_pages_are_closed()
    host.assert_waiting(2)
    owner.execute(text(remedy))
    host.command("db", "upgrade")
    host.assert_recorded("ann", "bob")
    state_of(host.app).drain_thread.stop(5)
    state_of(host.app).database.close()


def test_user_who_may_not_connect_to_the_database(trouble: MakeTrouble, postgresql_url: str, owner: Connection) -> None:
    url = make_url(postgresql_url).set(username="shut_out")
    owner.execute(text("CREATE ROLE shut_out LOGIN"))
    owner.execute(text(f"REVOKE CONNECT ON DATABASE {url.database} FROM PUBLIC"))
    host = trouble(MELODY_LOGS_DATABASE_URI=url.render_as_string(hide_password=False))
    host.sign_in("ann")
    said = host.find_bad("Database")
    assert " refuses us (" in said
    assert said.endswith(f'let its owner grant "shut_out" CONNECT to the database "{url.database}"')
    assert said in one_sentence(host.command("db", "upgrade", exit_code=1))
    owner.execute(text(f"GRANT CONNECT, CREATE ON DATABASE {url.database} TO shut_out"))
    host.command("db", "upgrade")
    host.assert_recorded("ann")
    state_of(host.app).drain_thread.stop(5)
    state_of(host.app).database.close()


def test_bind_of_the_host_is_named_where_it_leads_nowhere(trouble: MakeTrouble) -> None:
    port = free_port()
    host = trouble(
        MELODY_LOGS_DATABASE_URI=None,
        MELODY_LOGS_BIND_KEY="audit",
        SQLALCHEMY_BINDS={"audit": f"postgresql+psycopg://ann@127.0.0.1:{port}/shop"},
    )
    host.sign_in("ann")
    assert host.find_bad("Database").endswith('correct its address in "SQLALCHEMY_BINDS["audit"]"')


def test_host_without_any_key(trouble: MakeTrouble) -> None:
    """It has no sessions of its own then; what needs no key is recorded."""
    host = trouble(SECRET_KEY=None)
    with host.app.app_context():
        recorder = state_of(host.app).recorder
        assert recorder.record_sign_in({"identity": "ann@example.org", "success": True})
        assert recorder.record_sign_in({"identity": "no address", "success": False})
    assert httpx.get(f"{host.url}/").text == "home"
    said = host.find_bad("Keys")
    assert said == 'neither "MELODY_LOGS_KEY" nor "SECRET_KEY" is set: set one of them'
    assert "SECRET_KEY" in one_sentence(host.command("client", "create", "backend", "--scope", "read_log", exit_code=1))
    host.command("drain")
    host.assert_waiting(0)


def test_host_that_changed_its_key(trouble: MakeTrouble) -> None:
    """No program gets a token until the key is back; rows are written and read all the while."""
    before = trouble("before", MELODY_LOGS_KEY="one")
    made = create_client(state_of(before.app).database, "backend", ["read_log"])
    url = before.app.config["MELODY_LOGS_DATABASE_URI"]

    def ask(host: TroubledHost) -> httpx.Response:
        return httpx.post(host.url + TOKEN, auth=(made.client_id, made.client_secret), data=FORM, timeout=30)

    assert ask(before).status_code == 200
    changed = trouble("changed", MELODY_LOGS_KEY="two", MELODY_LOGS_DATABASE_URI=url)
    changed.sign_in("ann")
    said = changed.find_bad("Keys")
    assert 'was encrypted under another "MELODY_LOGS_KEY" (or "SECRET_KEY", where that is not set): put the' in said
    answer = ask(changed)
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    changed.assert_recorded("ann")
    with state_of(before.app).database.transaction() as connection:
        connection.execute(text("DELETE FROM melody_signing_key"))
    changed.command("health")
    assert ask(changed).status_code == 200
