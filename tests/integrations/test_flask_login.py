"""FlaskLogin against Flask-Login itself: what becomes a row, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, redirect, request
from flask_login import LoginManager, UserMixin, confirm_login, current_user, login_user, logout_user

from melody_logs import MelodyLogs
from melody_logs.integrations import FlaskLogin
from melody_logs.state import state_of
from tests.hosts import close_host, make_host
from tests.storage.rows import read_all

ANN = "ann@example.org"
WRONG = {"email": ANN, "password": "wrong"}
RIGHT = {"email": ANN, "password": "right"}


class Account(UserMixin):
    """An account, whose id is a number as in most tables."""

    def __init__(self, number: int = 7, email: str = ANN) -> None:
        self.id = number
        self.email = email


@pytest.fixture
def make_app() -> Iterator[Any]:
    """A function that makes a host with a login manager and ``auth.login``; automatic unless logs are given."""
    apps = []

    def make(logs: MelodyLogs | None = None, **config: Any) -> Flask:
        app, _ = make_host(logs=logs, **config)
        apps.append(app)
        # After melody_logs, as in a factory.
        manager = LoginManager(app)
        manager.login_view = "auth.login"
        manager.user_loader(lambda user_id: Account(int(user_id)))
        app.register_blueprint(make_views())
        return app

    yield make
    for app in apps:
        close_host(app)


def make_views() -> Blueprint:
    auth = Blueprint("auth", __name__)

    @auth.get("/")
    def home() -> str:
        return f"signed in: {current_user.is_authenticated}"

    @auth.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        sent = request.get_json() if request.is_json else request.form
        if sent.get("password") == "code":
            return redirect("/code")
        if sent.get("password") == "crash":
            raise RuntimeError("the host's own fault")
        if sent.get("password") != "right":
            answers = {"json": ({"ok": False}, 200), "redirect": redirect("/login"), "page": redirect("/page")}
            return answers.get(request.args.get("answer", ""), "<form> wrong")
        login_user(Account(), remember=True)
        return {"ok": True} if request.is_json else redirect("/")

    @auth.post("/code")
    def code() -> Any:
        login_user(Account())
        return redirect("/")

    @auth.post("/confirm")
    def confirm() -> str:
        confirm_login()
        return "fresh"

    @auth.get("/logout")
    def logout() -> Any:
        logout_user()
        return redirect("/")

    return auth


def read_rows(app: Flask) -> list[Any]:
    return read_all(state_of(app).database, "sign-in")


def told(app: Flask) -> list[tuple[Any, ...]]:
    return [(row.event, row.outcome, row.user_id, row.identity, row.method, row.reason) for row in read_rows(app)]


def test_attempts_at_the_login_view_are_recorded_without_a_line_of_the_host(make_app: Any) -> None:
    app = make_app()
    client = app.test_client()
    client.post("/login", data=WRONG)
    client.post("/login", data=RIGHT)
    client.get("/")
    client.get("/logout")
    assert told(app) == [
        ("sign_in", "failure", None, ANN, "password", None),
        ("sign_in", "success", "7", ANN, "password", None),
        ("sign_out", "success", "7", ANN, None, None),
    ]
    assert read_rows(app)[1].user_id_is_integer
    assert list(FlaskLogin().find_gaps(app)) == []


@pytest.mark.parametrize("field", ["email", "username", "login", "identity", "user"])
def test_the_field_of_the_account_is_guessed_in_forms_and_json(make_app: Any, field: str) -> None:
    app = make_app()
    client = app.test_client()
    client.post("/login", data={field: ANN, "password": "wrong"})
    client.post("/login", json={field: ANN, "password": "wrong"})
    assert [row.identity for row in read_rows(app)] == [ANN, ANN]


@pytest.mark.parametrize(
    ("query", "sent", "outcome"),
    [
        ("", WRONG, "failure"),
        ("?answer=redirect", WRONG, "failure"),
        # The form stands on every page; the answer leads back to the one it was sent from.
        ("?answer=page", WRONG, "failure"),
        ("", {"email": ANN, "password": "code"}, "challenge"),
    ],
)
def test_an_answer_without_a_sign_in_is_a_failure_or_asks_for_more(
    make_app: Any, query: str, sent: dict[str, str], outcome: str
) -> None:
    app = make_app()
    app.test_client().post(f"/login{query}", data=sent, headers={"Referer": "http://localhost/page"})
    assert [row.outcome for row in read_rows(app)] == [outcome]


def test_json_that_signs_nobody_in_is_a_failure(make_app: Any) -> None:
    app = make_app()
    app.test_client().post("/login?answer=json", json=WRONG)
    app.test_client().post("/login", json=RIGHT)
    assert [(row.outcome, row.user_id) for row in read_rows(app)] == [("failure", None), ("success", "7")]


def test_a_crash_of_the_view_is_a_failed_attempt_and_stays_the_hosts(make_app: Any) -> None:
    app = make_app()
    with pytest.raises(RuntimeError, match="the host's own fault"):
        app.test_client().post("/login", data={"email": ANN, "password": "crash"})
    assert [row.outcome for row in read_rows(app)] == ["failure"]


def test_a_second_step_elsewhere_is_a_success_with_who_it_was(make_app: Any) -> None:
    app = make_app()
    client = app.test_client()
    client.post("/login", data={"email": ANN, "password": "code"})
    client.post("/code", data={"code": "123456"})
    assert told(app) == [
        ("sign_in", "challenge", None, ANN, "password", None),
        ("sign_in", "success", "7", ANN, None, None),
    ]


def test_cookies_and_renewed_sessions_are_no_sign_ins(make_app: Any) -> None:
    app = make_app()
    client = app.test_client()
    client.post("/login", data=RIGHT)
    # login_user() once more for the same user, outside the login view.
    client.post("/code")
    with client.session_transaction() as session:
        session.clear()
    assert client.get("/").text == "signed in: True"
    assert [row.outcome for row in read_rows(app)] == ["success"]


def test_a_confirmed_login_is_a_sign_in_and_a_visitors_logout_none(make_app: Any) -> None:
    app = make_app()
    client = app.test_client()
    client.get("/logout")
    client.post("/confirm")
    client.post("/login", data=RIGHT)
    client.post("/confirm")
    assert [(row.event, row.outcome, row.user_id) for row in read_rows(app)] == [("sign_in", "success", "7")] * 2


def test_a_view_that_the_host_watches_itself_is_recorded_as_the_host_says(make_app: Any) -> None:
    logs = MelodyLogs()
    logs.watch_sign_in("auth.login", reason=lambda response: "wrong_password", method="ldap")
    app = make_app(logs)
    app.test_client().post("/login", data=WRONG)
    app.test_client().post("/login", data=RIGHT)
    assert [(row.outcome, row.reason, row.method) for row in read_rows(app)] == [
        ("failure", "wrong_password", "ldap"),
        ("success", None, "ldap"),
    ]


def test_options_say_what_the_library_does_not(make_app: Any) -> None:
    logs = MelodyLogs()
    logs.use(
        FlaskLogin(
            endpoint=["auth.login", "auth.code"],
            identity=lambda: request.form["email"].upper(),
            method="ldap",
            outcome=lambda response: "blocked" if request.form["password"] == "blocked" else "no outcome",
            reason=lambda response: "locked_account",
        )
    )
    app = make_app(logs)
    client = app.test_client()
    client.post("/login", data={"email": ANN, "password": "blocked"})
    client.post("/login", data=WRONG)
    client.post("/code", data=WRONG)
    assert told(app) == [
        ("sign_in", "blocked", None, ANN.upper(), "ldap", "locked_account"),
        ("sign_in", "failure", None, ANN.upper(), "ldap", "locked_account"),
        ("sign_in", "success", "7", ANN.upper(), "ldap", None),
    ]


def test_an_outcome_that_raises_leaves_the_rules_to_decide(make_app: Any) -> None:
    logs = MelodyLogs()
    logs.use(FlaskLogin(outcome=lambda response: 1 / 0))
    app = make_app(logs)
    app.test_client().post("/login", data=WRONG)
    assert [row.outcome for row in read_rows(app)] == ["failure"]


@pytest.mark.parametrize("name", ["form.show", "/enter", "/enter/here"])
def test_a_form_that_another_function_takes_is_found_by_its_path(make_app: Any, name: str) -> None:
    app = make_app()
    app.add_url_rule("/enter", "form.show", lambda: "<form>")
    app.add_url_rule("/enter", "form.take", lambda: "<form> wrong", methods=["POST"])
    app.add_url_rule("/enter/<where>", "form.take_there", lambda where: "<form> wrong", methods=["POST"])
    app.login_manager.login_view = name
    app.test_client().post("/enter/here" if name == "/enter/here" else "/enter", data=WRONG)
    assert [row.outcome for row in read_rows(app)] == ["failure"]


def test_login_views_of_blueprints_are_watched_too(make_app: Any) -> None:
    app = make_app()
    app.add_url_rule("/staff", "staff.login", lambda: "<form> wrong", methods=["POST"])
    client = app.test_client()
    client.post("/staff", data=WRONG)
    app.login_manager.blueprint_login_views["staff"] = "staff.login"
    client.post("/staff", data=WRONG)
    client.post("/login", data=WRONG)
    assert [row.endpoint for row in read_rows(app)] == ["staff.login", "auth.login"]


@pytest.mark.parametrize("view", [None, "auth.home", "https://login.example/", "nothing"])
def test_a_login_view_that_takes_no_form_is_a_gap(make_app: Any, view: str | None) -> None:
    app = make_app()
    app.login_manager.login_view = view
    (gap,) = FlaskLogin().find_gaps(app)
    assert "failed sign-ins leave no trace" in gap
    assert "logs.use(FlaskLogin(endpoint=" in gap
    # Sign-ins are recorded all the same.
    client = app.test_client()
    client.post("/login", data=WRONG)
    client.post("/login", data=RIGHT)
    assert told(app) == [("sign_in", "success", "7", ANN, None, None)]


def test_each_app_of_a_process_has_its_own(make_app: Any) -> None:
    logs = MelodyLogs()
    first, second = make_app(logs), make_app(logs)
    second.login_manager.login_view = None
    for app in (first, second):
        app.test_client().post("/login", data=WRONG)
    second.test_client().post("/login", data=RIGHT)
    assert [row.outcome for row in read_rows(first)] == ["failure"]
    assert [row.outcome for row in read_rows(second)] == ["success"]


def test_without_the_sign_in_log_nothing_is_connected(make_app: Any) -> None:
    app = make_app(MELODY_LOGS_ENABLE_SIGN_IN_LOG=False)
    hooks = len(app.before_request_funcs[None])
    client = app.test_client()
    client.post("/login", data=WRONG)
    client.post("/login", data=RIGHT)
    assert "flask-login" in state_of(app).integrations
    assert (len(app.before_request_funcs[None]), read_rows(app)) == (hooks, [])
