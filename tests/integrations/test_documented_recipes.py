"""The recipes of docs/integrations.md, each run against the library that it is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, g, redirect, request, session
from flask_httpauth import HTTPBasicAuth
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, jwt_required
from flask_login import LoginManager, UserMixin, login_user, logout_user
from flask_mail import Mail

from melody_logs import MelodyLogs
from melody_logs.demo.catcher import Catcher
from melody_logs.state import state_of
from tests.docs import fenced, page
from tests.hosts import close_host, make_host
from tests.integrations.oauth_client import add_client, ask_provider
from tests.integrations.security_host import ANN, SecurityHost
from tests.servers.processes import free_port
from tests.storage.rows import read_all

ADDRESS = "ann@example.org"


class Account(UserMixin):
    """An account of Flask-Login."""

    id = 7
    email = ADDRESS


@pytest.fixture
def host() -> Iterator[tuple[Flask, MelodyLogs]]:
    app, logs = make_host()
    yield app, logs
    close_host(app)


@pytest.fixture
def catcher() -> Iterator[tuple[Catcher, int]]:
    """A mail server, and its port."""
    server = Catcher("key")
    port, _ = server.start()
    yield server, port
    server.stop()


def follow_recipe(heading: str, **names: Any) -> dict[str, Any]:
    """Run the blocks of a section one after another; return what they have defined."""
    section = page("integrations.md").split(f"## {heading}\n")[1].split("\n## ")[0]
    code = "\n".join(fenced(section, "python"))
    assert code
    exec(compile(code, heading, "exec"), names)
    return names


def read_rows(app: Flask, kind: Any) -> list[Any]:
    return read_all(state_of(app).database, kind)


def test_flask_login(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    manager = LoginManager(app)
    manager.login_view = "auth.login"
    manager.user_loader(lambda user_id: Account() if user_id == "7" else None)

    @app.post("/login", endpoint="auth.login")
    def login() -> Any:
        if request.form["password"] != "right":
            g.sign_in_failure = "wrong_password"
            return "wrong"
        login_user(Account())
        return redirect("/")

    app.add_url_rule("/logout", "logout", lambda: str(logout_user()))
    follow_recipe("Flask-Login", logs=logs)
    client = app.test_client()
    for password in ("wrong", "right"):
        client.post("/login", data={"email": ADDRESS, "password": password})
    client.get("/logout")
    assert [(row.event, row.outcome, row.user_id, row.identity, row.reason) for row in read_rows(app, "sign-in")] == [
        ("sign_in", "failure", None, ADDRESS, "wrong_password"),
        ("sign_in", "success", "7", ADDRESS, None),
        ("sign_out", "success", "7", ADDRESS, None),
    ]


def test_flask_security() -> None:
    logs = MelodyLogs()
    follow_recipe("Flask-Security-Too", logs=logs)
    host = SecurityHost({}, logs)

    @host.app.post("/staff", endpoint="staff.enter")
    def enter() -> str:
        login_user(host.store.find_user(email=ANN))
        return "in"

    host.client.post("/staff", data={"card_number": "4711"})
    host.client.post("/logout")
    host.sign_in("wrong password")
    host.close()
    assert host.told() == [
        ("sign_in", "success", None, "card", "4711", "1"),
        ("sign_out", "success", None, None, ANN, "1"),
        ("sign_in", "failure", "wrong_password", "password", ANN, "1"),
    ]


def test_flask_jwt_extended(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    app.config["JWT_SECRET_KEY"] = "a key for tests that is long enough"
    JWTManager(app)

    @app.post("/login", endpoint="auth.login")
    def login() -> Any:
        if request.get_json()["password"] != "right":
            return {"msg": "wrong"}, 401
        return {"access": create_access_token("7"), "refresh": create_refresh_token("7")}

    @app.post("/refresh", endpoint="auth.refresh")
    @jwt_required(refresh=True)
    def refresh() -> Any:
        return {"access": create_access_token("7")}

    app.add_url_rule("/logout", "auth.logout", jwt_required()(lambda: ""), methods=["POST"])
    follow_recipe("Flask-JWT-Extended", logs=logs)
    client = app.test_client()
    client.post("/login", json={"email": ADDRESS, "password": "wrong"})
    answer: Any = client.post("/login", json={"email": ADDRESS, "password": "right"}).json
    for path, token in (("refresh", "refresh"), ("refresh", "access"), ("logout", "access")):
        client.post(f"/{path}", headers={"Authorization": f"Bearer {answer[token]}"})
    assert [(row.event, row.outcome, row.user_id, row.method) for row in read_rows(app, "sign-in")] == [
        ("sign_in", "failure", None, "password"),
        ("sign_in", "success", "7", "password"),
        ("token_refresh", "success", "7", "token"),
        ("token_refresh", "failure", None, "token"),
        ("sign_out", "success", "7", "token"),
    ]


def test_authlib(host: tuple[Flask, MelodyLogs], provider_url: str) -> None:
    app, logs = host
    follow_recipe("Authlib", logs=logs)

    def sign(token: Any) -> Any:
        if "refused" in request.args:
            g.reason = "inactive_account"
        else:
            session["account"] = token["userinfo"]["sub"]
        return redirect("/")

    add_client(app, provider_url, sign)
    for query in ("", "&refused=1"):
        client = app.test_client()
        client.get(ask_provider(client) + query)
    assert [(row.outcome, row.reason, row.user_id, row.method) for row in read_rows(app, "sign-in")] == [
        ("success", None, "subject-1", "oauth:acme"),
        ("failure", "inactive_account", None, "oauth:acme"),
    ]


def test_flask_httpauth(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    auth = HTTPBasicAuth()
    ann = SimpleNamespace(key="k7", email=ADDRESS, has_password=lambda password: password == "right")
    follow_recipe("Flask-HTTPAuth", logs=logs, auth=auth, accounts={ADDRESS: ann})
    for endpoint in ("api.things", "api.token"):
        app.add_url_rule(f"/{endpoint}", endpoint, auth.login_required(lambda: ""))
    client = app.test_client()
    client.get("/api.things", auth=("ben@example.org", "right"))
    for path, password in (("api.things", "wrong"), *[("api.things", "right")] * 2, *[("api.token", "right")] * 2):
        client.get(f"/{path}", auth=(ADDRESS, password))
    assert [(row.outcome, row.reason, row.user_id, row.endpoint) for row in read_rows(app, "sign-in")] == [
        ("failure", "unknown_account", None, "api.things"),
        ("failure", "wrong_password", None, "api.things"),
        ("success", None, "k7", "api.things"),
        ("success", None, "k7", "api.token"),
        ("success", None, "k7", "api.token"),
    ]


def test_own_sessions(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    follow_recipe("Your own sessions", logs=logs)

    @app.post("/login")
    def login() -> Any:
        if request.form["password"] != "right":
            g.reason = "locked_account"
            return "<form>"
        session["user_id"] = 7
        return redirect("/")

    app.add_url_rule("/logout", "logout", lambda: str(session.pop("user_id")), methods=["POST"])
    client = app.test_client()
    for password in ("wrong", "right"):
        client.post("/login", data={"email": ADDRESS, "password": password})
    client.post("/logout")
    assert [(row.event, row.outcome, row.reason, row.user_id) for row in read_rows(app, "sign-in")] == [
        ("sign_in", "failure", "locked_account", None),
        ("sign_in", "success", None, "7"),
        ("sign_out", "success", None, "7"),
    ]


def test_flask_mail(host: tuple[Flask, MelodyLogs], catcher: tuple[Catcher, int]) -> None:
    app, logs = host
    link = "https://host.example/reset/0a1b2c3d4e5f60718293"
    for port, suppressed in ((catcher[1], False), (catcher[1], True), (free_port(), False)):
        app.config.update(MAIL_PORT=port, MAIL_SUPPRESS_SEND=suppressed, MAIL_DEFAULT_SENDER="host@example.org")
        mail = Mail(app)
        send: Callable[..., None] = follow_recipe("Flask-Mail", logs=logs, mail=mail)["send_account_mail"]
        with app.app_context():
            if port == catcher[1]:
                send(ADDRESS, "Reset", f"<a href='{link}'>reset</a>", "password_reset", [link])
            else:
                with pytest.raises(ConnectionRefusedError):
                    send(ADDRESS, "Reset", f"<a href='{link}'>reset</a>", "password_reset", [link])
    rows = read_rows(app, "email")
    assert [row.status for row in rows] == ["sent", "suppressed", "failed"]
    assert all("0a1b2c3d" not in row.content for row in rows)
    assert len(catcher[0].list_messages()) == 1


def test_text_message_provider(host: tuple[Flask, MelodyLogs], serve: Callable[[Flask], str]) -> None:
    app, logs = host
    provider = Flask("provider")

    @provider.post("/messages")
    def take() -> Any:
        known = request.get_json()["to"].startswith("+")
        return ({"id": "SM1"}, 201) if known else ({"error": "no such number"}, 400)

    app.config["SMS_ADDRESS"] = f"{serve(provider)}/messages"
    send = follow_recipe("A text-message provider", logs=logs, app=app)["send_code"]
    with app.app_context():
        send("+16471231111", "493027")
        send("16471231111", "493027")
    rows = read_rows(app, "sms")
    assert [(row.status, row.provider_message_id) for row in rows] == [("sent", "SM1"), ("failed", None)]
    assert all(row.content == "Your code is [redacted]" for row in rows)
