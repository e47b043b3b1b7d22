"""Where the logs live: what each host's configuration leads to, and what our connections are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url

from melody_logs.errors import ConfigurationError
from melody_logs.settings import Settings
from melody_logs.storage.database import Database
from melody_logs.storage.destination import Destination, resolve_destination, show_url
from melody_logs.storage.engine import driver_arguments, make_engine

SERVER = "postgresql+psycopg://ann:secret@db.example.org/shop"


def resolve(folder: Path, db: Any = None, **config: Any) -> Destination:
    app = Flask("host", instance_path=str(folder))
    app.config.update(config)
    return resolve_destination(app, db, Settings.from_config(app.config))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true",
                                 "sqlite:///file:x?mode=memory&uri=true"])  # fmt: skip
def test_host_in_memory_gets_a_temporary_file(url: str, tmp_path: Path) -> None:
    assert resolve(tmp_path, SQLALCHEMY_DATABASE_URI=url).temporary


@pytest.mark.parametrize("path", ["app.db", "file:app.db?uri=true", "{folder}/app.db", "file:{folder}/app.db?mode=rw"])
def test_host_on_a_file_gets_a_second_one_beside_it(path: str, tmp_path: Path) -> None:
    url = "sqlite:///" + path.format(folder=tmp_path)
    found = resolve(tmp_path, SQLALCHEMY_DATABASE_URI=url)
    assert (found.url.database, dict(found.url.query)) == (str(tmp_path / "app-logs.db"), {})


def test_binds_may_be_text_addresses_or_dicts_with_options(tmp_path: Path) -> None:
    for bind in (SERVER, make_url(SERVER), {"url": SERVER, "connect_args": {"sslmode": "require"}, "echo": True}):
        found = resolve(tmp_path, SQLALCHEMY_BINDS={"logs": bind}, MELODY_LOGS_BIND_KEY="logs")
        assert (found.url, found.schema) == (make_url(SERVER), "melody_logs")
        assert found.engine_options.get("connect_args") == ({"sslmode": "require"} if isinstance(bind, dict) else None)


def test_engines_of_flask_sqlalchemy_lite_are_understood(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/file.db")
    lite = type("Lite", (), {"engines": {"default": engine, "logs": engine}})()
    config: dict[str, Any] = {
        "SQLALCHEMY_ENGINES": {"default": {"url": {"drivername": "sqlite", "database": "lite.db"}}}
    }
    assert resolve(tmp_path, **config).url.database == str(tmp_path / "lite-logs.db")
    assert resolve(tmp_path, lite, **config).url.database == str(tmp_path / "file-logs.db")
    config["SQLALCHEMY_ENGINES"]["logs"] = {"url": SERVER}
    assert resolve(tmp_path, **config, MELODY_LOGS_BIND_KEY="logs").url == make_url(SERVER)
    with pytest.raises(ConfigurationError, match=r'"audit", which is not in "SQLALCHEMY_ENGINES" \(default, logs\)'):
        resolve(tmp_path, **config, MELODY_LOGS_BIND_KEY="audit")


def test_options_of_the_flask_sqlalchemy_constructor_are_the_hosts_too(tmp_path: Path) -> None:
    app = Flask("host", instance_path=str(tmp_path))
    app.config.update(SQLALCHEMY_DATABASE_URI=SERVER, SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 2})
    db = SQLAlchemy(app, engine_options={"connect_args": {"sslmode": "require"}, "pool_size": 9})
    found = resolve_destination(app, db, Settings.from_config(app.config))
    assert found.engine_options == {"connect_args": {"sslmode": "require"}, "pool_size": 2}


def test_host_that_connects_by_a_function_of_its_own_is_followed(tmp_path: Path) -> None:
    """Cloud connectors work like that: the address alone leads nowhere."""
    calls: list[int] = []

    def connect() -> Any:
        calls.append(1)
        raise OSError("not today")

    found = resolve(tmp_path, SQLALCHEMY_DATABASE_URI=SERVER, SQLALCHEMY_ENGINE_OPTIONS={"creator": connect})
    with pytest.raises(OSError, match="not today"):
        make_engine(found).connect()
    assert calls == [1]


@pytest.mark.parametrize("url", ["postgres://ann@db.example.org/shop", "oracle://ann@db.example.org/shop"])
def test_database_that_is_not_supported_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="accepted: postgresql, sqlite, mysql, mariadb"):
        resolve(tmp_path, MELODY_LOGS_DATABASE_URI=url)


def test_address_of_mariadb_without_a_database_gets_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"names no database: write mariadb\+pymysql://user@host/NAME"):
        resolve(tmp_path, MELODY_LOGS_DATABASE_URI="mariadb+pymysql://ann@db.example.org")


@pytest.mark.parametrize(
    ("driver", "known", "unknown"),
    [
        ("postgresql+psycopg", "prepare_threshold", "timeout"),
        ("postgresql+psycopg2", "tcp_user_timeout", "prepare_threshold"),
        ("postgresql+pg8000", "timeout", "connect_timeout"),
        ("mysql+pymysql", "connect_timeout", "application_name"),
        ("sqlite+pysqlite", None, "connect_timeout"),
    ],
)
def test_each_driver_is_told_only_what_it_knows(driver: str, known: str | None, unknown: str) -> None:
    arguments = driver_arguments(Destination(URL.create(driver, host="db", database="logs"), None))
    assert (known is None or known in arguments) and unknown not in arguments


def test_what_the_host_says_to_its_driver_wins() -> None:
    url = make_url(f"{SERVER}?connect_timeout=9")
    arguments = driver_arguments(Destination(url, None, {"connect_args": {"application_name": "shop"}}))
    assert "connect_timeout" not in arguments
    assert arguments["application_name"] == "shop"


def test_spool_follows_the_database_and_not_the_user_or_driver() -> None:
    def name(url: str, schema: str = "melody_logs") -> str:
        return Database(lambda: Destination(make_url(url), schema)).fingerprint

    same = "postgresql+psycopg2://bob:other@db.example.org/shop?sslmode=require"
    assert name(SERVER) == name(same)
    assert len({name(SERVER), name(SERVER, "audit"), name(f"{SERVER}2"), name(SERVER.replace("db.", "db2."))}) == 4


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:hunter2@db.example/logs",
        "postgresql:///logs?host=db.example&user=ann&password=hunter2&sslpassword=hunter2",
        "mysql+mysqldb://db.example/logs?passwd=hunter2",
    ],
)
def test_passwords_of_an_address_are_not_shown(address: str) -> None:
    shown = show_url(make_url(address))
    assert "hunter2" not in shown and "***" in shown and "db.example" in shown
