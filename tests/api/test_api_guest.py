"""The API in an app that is somebody else's: it answers its own errors and leaves everything else alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask_smorest
import pytest
from flask import Flask, abort
from flask_wtf import CSRFProtect
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from melody_logs import MelodyLogs
from melody_logs.clients.registry import create_client
from melody_logs.state import state_of
from melody_logs.storage.schema import upgrade
from tests.api.conftest import Api, assert_problem
from tests.conftest import ServedDatabase
from tests.hosts import close_host, make_host
from tests.storage.rows import message, write


@pytest.fixture
def host(sqlite_url: str, tmp_path: Path) -> Iterator[Flask]:
    """An app with error pages and a route of its own, on which melody_logs is not initialised yet."""
    app = Flask("host", instance_path=str(tmp_path))
    app.config.update(SECRET_KEY="test", MELODY_LOGS_DATABASE_URI=sqlite_url, MELODY_LOGS_WRITER="direct")
    app.register_error_handler(404, lambda error: ("<h1>Not here</h1>", 404))
    app.register_error_handler(405, lambda error: ("<h1>Not so</h1>", 405))
    app.register_error_handler(Exception, lambda error: ("<h1>Broken</h1>", 500))
    app.add_url_rule("/home", view_func=lambda: "home", endpoint="home")
    app.add_url_rule("/gone", view_func=lambda: abort(404), endpoint="gone")
    yield app
    close_host(app)


def install(app: Flask) -> Api:
    MelodyLogs().init_app(app)
    upgrade(state_of(app).database)
    return Api(app)


def test_host_keeps_its_own_error_pages(host: Flask) -> None:
    install(host)
    client = host.test_client()
    for path, status, page in (
        ("/nothing", 404, "<h1>Not here</h1>"),
        ("/gone", 404, "<h1>Not here</h1>"),
        ("/oauth2/v1/nothing", 404, "<h1>Not here</h1>"),
        ("/api/v1/logsnothing", 404, "<h1>Not here</h1>"),
    ):
        response = client.get(path)
        assert (response.status_code, response.get_data(as_text=True)) == (status, page)
    response = client.post("/home")
    assert (response.status_code, response.get_data(as_text=True)) == (405, "<h1>Not so</h1>")
    assert "Cache-Control" not in client.get("/home").headers


def test_our_errors_are_problems_in_spite_of_the_hosts_pages(host: Flask) -> None:
    api = install(host)
    client = host.test_client()
    for path in ("/api/v1/logs", "/api/v1/logs/", "/api/v1/logs/fax", "/api/v1/logs/email/1/2", "/oauth2/v1/token/x"):
        assert_problem(client.get(path), 404)
    assert_problem(api.get("/email/1"), 404)
    assert_problem(api.get("/email?x=1"), 400, "x")
    assert_problem(client.get("/api/v1/logs/email"), 401)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "TRACE"])
def test_wrong_method_says_which_are_right(host: Flask, method: str) -> None:
    api = install(host)
    response = api.call(method, "/email")
    assert_problem(response, 405)
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "DELETE", "OPTIONS"}
    assert "DELETE" not in api.call(method, "/email/1").headers["Allow"]


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_method_cannot_be_overridden(host: Flask, header: str) -> None:
    api = install(host)
    write(api.database, message())
    headers = {"Authorization": f"Bearer {api.token()}", header: "DELETE"}
    query = "before=9999-12-31T23:59:59Z&allow_recent=true&_method=DELETE"
    response = host.test_client().get(f"/api/v1/logs/email?{query}", headers=headers)
    assert response.status_code == 400
    assert api.get("/email").json["count"] == 1  # type: ignore[index]


@pytest.mark.parametrize("when", ["before", "after"])
def test_csrf_protection_of_the_host_lets_the_api_through(host: Flask, when: str) -> None:
    """Whether the host initialises it before melody_logs or after; its own forms stay protected."""
    host.add_url_rule("/form", view_func=lambda: "done", endpoint="form", methods=["POST"])
    if when == "before":
        CSRFProtect(host)
    api = install(host)
    if when == "after":
        CSRFProtect(host)
    assert api.ask_token(create_client(api.database, "billing", ["root"])).status_code == 200
    assert api.delete("/email?before=2025-01-03T01:02:03Z").status_code == 204
    assert host.test_client().post("/form").status_code != 200


def test_hosts_own_flask_smorest_is_untouched(host: Flask) -> None:
    host.config.update(API_TITLE="host", API_VERSION="1", OPENAPI_VERSION="3.0.3", OPENAPI_URL_PREFIX="/docs")
    theirs = flask_smorest.Api(host)
    api = install(host)
    assert host.test_client().get("/docs/openapi.json").json["info"]["title"] == "host"  # type: ignore[index]
    assert "/api/v1/logs/email" not in theirs.spec.to_dict()["paths"]
    assert "openapi" in host.cli.commands
    assert api.get("/email").status_code == 200


def test_no_documents_commands_or_settings_are_added(host: Flask) -> None:
    before = set(host.config)
    install(host)
    assert "openapi" not in host.cli.commands
    assert set(host.config) == before
    assert not [rule for rule in host.url_map.iter_rules() if "openapi" in rule.rule or "docs" in rule.rule]


def test_every_call_is_described_for_the_documentation(host: Flask) -> None:
    """No document is served yet, but what the views declare makes one."""
    install(host)
    described: Any = host.extensions["flask-smorest"]["apis"]["MELODY_LOGS_"]["ext_obj"].spec.to_dict()
    paths = described["paths"]
    assert set(paths["/api/v1/logs/sign-in"]) == {"get", "delete"}
    assert {p["name"] for p in paths["/api/v1/logs/sms"]["get"]["parameters"]} == {"page_size", "page_number", "cursor"}
    assert "detail" in described["components"]["schemas"]["SignIn"]["properties"]


def test_key_set_of_the_host_stays_its_own(host: Flask) -> None:
    host.add_url_rule("/.well-known/jwks.json", view_func=lambda: {"keys": ["host"]}, endpoint="their_keys")
    api = install(host)
    assert host.test_client().get("/.well-known/jwks.json").json == {"keys": ["host"]}
    assert api.get("/email").status_code == 200


def test_two_apps_with_other_prefixes_live_in_one_process(sqlite_url: str, tmp_path: Path) -> None:
    prefixes: dict[str, Any] = {
        "MELODY_LOGS_API_PREFIX": "/logs",
        "MELODY_LOGS_TOKEN_PREFIX": "/auth",
        "MELODY_LOGS_TOKEN_LIFETIME_SECONDS": 60,
    }
    other, _ = make_host(sqlite_url.replace("logs.db", "other.db"), tmp_path=tmp_path / "other", **prefixes)
    usual, _ = make_host(sqlite_url, tmp_path=tmp_path)
    usual_api = Api(usual)
    assert usual_api.get("/email").status_code == 200
    made = create_client(state_of(other).database, "billing", ["root"])
    answer = other.test_client().post(
        "/auth/token",
        data={"grant_type": "client_credentials", "scope": "root"},
        auth=(made.client_id, made.client_secret),
    )
    token: Any = answer.json
    assert token["expires_in"] == 60
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert other.test_client().get("/logs/sms", headers=headers).status_code == 200
    assert other.test_client().get("/api/v1/logs/sms", headers=headers).content_type.startswith("text/html")
    close_host(other)
    close_host(usual)


def test_links_are_right_where_the_app_is_mounted_below_a_path(api: Api) -> None:
    write(api.database, *[message() for _ in range(501)])
    mounted = Client(DispatcherMiddleware(Flask("outer"), {"/inner": api.app}))
    headers = {"Authorization": f"Bearer {api.token()}", "Host": "evil.example"}
    response = mounted.get("/inner/api/v1/logs/email", headers=headers)
    assert response.headers["Link"].startswith("</inner/api/v1/logs/email?cursor=")


def test_unexpected_failure_shows_an_id_and_nothing_else(
    sqlite_api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("SELECT secret FROM table")

    sqlite_api.token()
    monkeypatch.setattr("melody_logs.api.logs.count_rows", fail)
    problem = assert_problem(sqlite_api.get("/email"), 500)
    assert "SELECT" not in str(problem)
    assert problem["errorId"] in caplog.text and "SELECT secret" in caplog.text


def test_missing_tables_are_a_503(sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = Flask("host", instance_path=str(tmp_path))
    app.config.update(SECRET_KEY="test", MELODY_LOGS_DATABASE_URI=sqlite_url)
    MelodyLogs().init_app(app)
    response = app.test_client().get("/.well-known/jwks.json")
    assert_problem(response, 503)
    assert int(response.headers["Retry-After"]) > 0
    assert "melody_signing_key" not in response.get_data(as_text=True)
    assert "db upgrade" in caplog.text
    close_host(app)


def test_database_that_is_down_is_a_503_and_comes_back(served_database: ServedDatabase, tmp_path: Path) -> None:
    app, _ = make_host(served_database.url, tmp_path=tmp_path)
    api = Api(app)
    client = create_client(api.database, "billing", ["root"])
    assert api.get("/email").status_code == 200
    served_database.server.stop()
    try:
        for response in (
            api.get("/email"),
            api.delete("/email?before=2025-01-03T01:02:03Z"),
            api.ask_token(client),
        ):
            problem = assert_problem(response, 503)
            assert "Retry-After" in response.headers
            assert "127.0.0.1" not in str(problem)
    finally:
        served_database.server.start()
    assert api.get("/email").status_code == 200
    close_host(app)
