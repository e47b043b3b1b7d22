"""The extension: registered once, closed until enabled, beside other apps, and a guest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from melody_logs import ConfigurationError, MelodyLogs, NotInitialisedError
from melody_logs.state import state_of
from tests.hosts import make_host
from tests.storage.rows import read_all


def test_second_registration_is_refused(apps: list[Flask]) -> None:
    app, logs = make_host()
    apps.append(app)
    with pytest.raises(ConfigurationError, match="already initialised"):
        logs.init_app(app)


def test_nothing_is_recorded_until_a_kind_is_enabled(apps: list[Flask]) -> None:
    app, logs = make_host(MELODY_LOGS_ENABLE_EMAIL_LOG=False, MELODY_LOGS_ENABLE_SIGN_IN_LOG="no")
    apps.append(app)
    with app.app_context():
        assert logs.record_email(receiver="ann@example.org", success=True) is None
        assert logs.record_sign_in(identity="ann@example.org", success=True) is None
        assert logs.record_sms(receiver="+16471231111", success=True) is not None
    database = state_of(app).database
    assert [len(read_all(database, kind)) for kind in ("email", "sms", "sign-in")] == [0, 1, 0]


def test_two_apps_keep_their_logs_apart(apps: list[Flask], tmp_path: Path) -> None:
    logs = MelodyLogs()
    hosts = [make_host(f"sqlite:///{tmp_path}/{name}.db", logs=logs, tmp_path=tmp_path)[0] for name in "ab"]
    apps += hosts
    for number, app in enumerate(hosts):
        with app.app_context():
            for _ in range(number + 1):
                assert logs.record_sign_in(identity="ann@example.org", success=True)
    assert [len(read_all(state_of(app).database, "sign-in")) for app in hosts] == [1, 2]
    with pytest.raises(NotInitialisedError, match="serves 2 apps"):
        logs.record_sign_in(success=True)


def test_a_thread_without_app_context_records_for_the_only_app(apps: list[Flask]) -> None:
    app, logs = make_host()
    apps.append(app)
    assert logs.record_sms(receiver="+16471231111", success=True)
    assert len(read_all(state_of(app).database, "sms")) == 1


def test_an_app_without_init_app_is_told_so() -> None:
    app, logs = Flask("plain"), MelodyLogs()
    with app.app_context(), pytest.raises(NotInitialisedError, match="did you forget"):
        logs.record_sign_in(success=True)


def test_app_without_any_database_is_told_which_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r'"MELODY_LOGS_DATABASE_URI" or "SQLALCHEMY_DATABASE_URI"'):
        MelodyLogs(Flask("host", instance_path=str(tmp_path)))


def test_unknown_bind_names_those_that_are_there(tmp_path: Path) -> None:
    app = Flask("host", instance_path=str(tmp_path))
    app.config.update(MELODY_LOGS_BIND_KEY="audit", SQLALCHEMY_BINDS={"logs": "sqlite://"})
    with pytest.raises(ConfigurationError, match=r'"audit", which is not in "SQLALCHEMY_BINDS" \(logs\)'):
        MelodyLogs(app)


def test_sqlite_host_gets_a_second_file_beside_its_own(apps: list[Flask], tmp_path: Path) -> None:
    app = Flask("host", instance_path=str(tmp_path))
    app.config.update(SECRET_KEY="x", SQLALCHEMY_DATABASE_URI="sqlite:///app.db")
    db = SQLAlchemy(app)
    MelodyLogs(app, db)
    apps.append(app)
    assert state_of(app).database.url.database == str(tmp_path / "app-logs.db")
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


def test_flask_sqlalchemy_that_is_not_initialised_is_explained(tmp_path: Path) -> None:
    app = Flask("host", instance_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    with pytest.raises(ConfigurationError, match=r"db\.init_app\(app\)"):
        MelodyLogs(app, SQLAlchemy())


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("MELODY_LOGS_ADMIN_PREFIX", "/admin/logs"),
        ("MELODY_LOGS_API_PREFIX", "/api/v1/logs/mine"),
        ("MELODY_LOGS_TOKEN_PREFIX", "/oauth2/v1/token"),
    ],
)
def test_route_that_would_collide_is_refused_with_its_key(key: str, path: str, tmp_path: Path) -> None:
    app = Flask("host", instance_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    app.add_url_rule(path, "taken", lambda: "mine")
    with pytest.raises(ConfigurationError, match=f'"{key}".*"{path}" \\(taken\\)'):
        MelodyLogs(app)


def test_prefixes_that_lie_in_each_other_are_refused(tmp_path: Path) -> None:
    app = Flask("host", instance_path=str(tmp_path))
    app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", MELODY_LOGS_ADMIN_PREFIX="/api/v1/logs/pages")
    with pytest.raises(ConfigurationError, match="one lies in the other"):
        MelodyLogs(app)


def test_host_pages_are_left_as_they_were(apps: list[Flask]) -> None:
    def fetch(app: Flask) -> list[Any]:
        app.add_url_rule("/", "home", lambda: "home")
        with app.test_client() as client:
            answers = [client.get("/"), client.get("/nothing"), client.post("/")]
        return [(answer.status, answer.data, sorted(answer.headers)) for answer in answers]

    plain = Flask("plain")
    plain.config.update(SECRET_KEY="x")
    with_logs, _ = make_host()
    apps.append(with_logs)
    assert fetch(with_logs) == fetch(plain)


def test_unknown_keyword_of_a_message_is_named() -> None:
    with pytest.raises(TypeError, match=r'record_email\(\) has no keyword "reciever"'):
        MelodyLogs().record_email(reciever="ann@example.org")
