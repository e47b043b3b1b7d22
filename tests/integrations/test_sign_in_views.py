"""Watched login views: every POST is one row with the right outcome, and the view is not touched."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, flash, redirect, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from melody_logs import MelodyLogs, signals
from melody_logs.state import state_of
from tests.hosts import add_login_view, close_host, make_host
from tests.storage.rows import read_all

FORM = {"email": "ann@example.org"}


@pytest.fixture
def host() -> Iterator[tuple[Flask, MelodyLogs]]:
    app, logs = make_host()
    yield app, logs
    close_host(app)


def rows_of(app: Flask) -> list[Any]:
    return read_all(state_of(app).database, "sign-in")


@pytest.mark.parametrize("answer", ["html", "redirect"])
def test_right_and_wrong_passwords_of_a_form(host: tuple[Flask, MelodyLogs], answer: str) -> None:
    app, logs = host
    add_login_view(app, answer=answer)
    logs.watch_sign_in("auth.login")
    client = app.test_client()
    client.get("/login")
    client.post("/login", data=FORM | {"password": "wrong"})
    client.post("/login", data=FORM | {"password": "right"})
    client.post("/login", data=FORM | {"password": "wrong"})
    client.post("/login", data=FORM | {"password": "right"})
    rows = rows_of(app)
    assert [row.outcome for row in rows] == ["failure", "success", "failure", "success"]
    assert [row.user_id for row in rows] == [None, "7", None, "7"]
    assert {(row.identity, row.method, row.endpoint) for row in rows} == {("ann@example.org", "password", "auth.login")}


def test_json_login_view(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    add_login_view(app, answer="json")
    logs.watch_sign_in("auth.login", identity="user", method="token")
    client = app.test_client()
    client.post("/login", json={"user": "ann@example.org", "password": "wrong"})
    client.post("/login", json={"user": "ann@example.org", "password": "right"})
    assert [(row.outcome, row.identity) for row in rows_of(app)] == [
        ("failure", "ann@example.org"),
        ("success", "ann@example.org"),
    ]


def test_view_that_crashes_is_a_failed_attempt(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    add_login_view(app)
    logs.watch_sign_in("auth.login")
    with pytest.raises(RuntimeError, match="own fault"):
        app.test_client().post("/login", data=FORM | {"password": "crash"})
    assert [row.outcome for row in rows_of(app)] == ["failure"]


def test_explicit_record_in_the_view_and_the_hook_give_one_row(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.post("/login", endpoint="auth.login")
    def login() -> tuple[str, int]:
        logs.record_sign_in(identity=request.form["email"], success=False, reason="locked_account")
        return "locked", 403

    logs.watch_sign_in("auth.login")
    app.test_client().post("/login", data=FORM)
    (row,) = rows_of(app)
    assert (row.outcome, row.reason, row.method) == ("failure", "locked_account", "password")


def test_host_says_outcome_reason_and_user(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    add_login_view(app)
    logs.watch_sign_in(
        "auth.login",
        identity=lambda: request.form["email"].upper(),
        outcome=lambda response: "challenge" if response.status_code == 302 else "blocked",
        reason=lambda response: "rate_limited",
    )
    app.test_client().post("/login", data=FORM | {"password": "wrong"})
    app.test_client().post("/login", data=FORM | {"password": "right"})
    assert [(row.outcome, row.reason, row.identity) for row in rows_of(app)] == [
        ("blocked", "rate_limited", "ANN@EXAMPLE.ORG"),
        ("challenge", "rate_limited", "ANN@EXAMPLE.ORG"),
    ]


@pytest.mark.parametrize("part", ["identity", "user_id", "outcome"])
def test_broken_reader_loses_its_fact_and_not_the_attempt(
    host: tuple[Flask, MelodyLogs], caplog: pytest.LogCaptureFixture, part: str
) -> None:
    app, logs = host
    add_login_view(app)
    readers: dict[str, Any] = {part: lambda *given: 1 / 0}
    logs.watch_sign_in("auth.login", **readers)
    assert app.test_client().post("/login", data=FORM | {"password": "right"}).status_code == 302
    (row,) = rows_of(app)
    assert row.outcome == "success"
    assert (row.identity is None, row.user_id is None) == (part == "identity", part == "user_id")
    assert 'at "auth.login" could not be read' in caplog.text


def test_crash_that_the_host_answers_is_one_row(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    app.config["PROPAGATE_EXCEPTIONS"] = False
    add_login_view(app)
    logs.watch_sign_in("auth.login")
    assert app.test_client().post("/login", data=FORM | {"password": "crash"}).status_code == 500
    assert [(row.outcome, row.version) for row in rows_of(app)] == [("failure", 1)]


def test_what_a_signal_said_counts_more_than_the_look_of_the_answer(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    @app.post("/login", endpoint="auth.login")
    def login() -> str:
        signals.sign_in_attempted.send(app, identity="ann@example.org", success=True)
        return "<p>Welcome"

    logs.watch_sign_in("auth.login")
    app.test_client().post("/login", data=FORM)
    assert [row.outcome for row in rows_of(app)] == ["success"]


def test_signal_of_a_later_hook_joins_the_row(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    add_login_view(app)
    logs.watch_sign_in("auth.login")

    @app.teardown_request
    def tell(error: BaseException | None) -> None:
        signals.sign_in_attempted.send(app, flow_id="flow-1")

    app.test_client().post("/login", data=FORM | {"password": "right"})
    (row,) = rows_of(app)
    assert (row.outcome, row.flow_id, row.version) == ("success", "flow-1", 2)


def test_requests_inside_one_app_context_stay_apart(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    add_login_view(app)
    logs.watch_sign_in("auth.login")
    with app.app_context():
        for password in ("wrong", "right"):
            app.test_client().post("/login", data=FORM | {"password": password})
    assert [row.outcome for row in rows_of(app)] == ["failure", "success"]


def test_host_hook_that_answers_a_signed_in_user_signs_nobody_in(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    add_login_view(app)
    logs.watch_sign_in("auth.login")
    client = app.test_client()
    client.post("/login", data=FORM | {"password": "right"})
    app.before_request_funcs[None].append(lambda: Response("<p>Wait a minute", mimetype="text/html"))
    client.post("/login", data=FORM | {"password": "right"})
    assert [row.outcome for row in rows_of(app)] == ["success", "failure"]


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (204, {"HX-Redirect": "/"}, "success"),
        (200, {"HX-Redirect": "/welcome"}, "success"),
        (200, {"HX-Redirect": "/login?again=1"}, "failure"),
        (204, {}, "success"),
        (200, {}, "failure"),
        (422, {}, "failure"),
        (302, {"Location": "?again=1"}, "failure"),
        (302, {"Location": ""}, "failure"),
        (303, {"Location": "http://localhost/login"}, "failure"),
        (303, {"Location": "/two-factor"}, "success"),
    ],
)
def test_answer_without_a_session_is_read(
    host: tuple[Flask, MelodyLogs], status: int, headers: dict[str, str], outcome: str
) -> None:
    app, logs = host
    app.add_url_rule("/login", "auth.login", lambda: Response("", status, headers), methods=["POST"])
    logs.watch_sign_in("auth.login")
    app.test_client().post("/login", data=FORM)
    assert [row.outcome for row in rows_of(app)] == [outcome]


def test_body_of_unknown_length_that_the_host_left_unread_stays_unread(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    app.add_url_rule("/login", "auth.login", lambda: ("later", 429), methods=["POST"])
    logs.watch_sign_in("auth.login")

    class Body(io.BytesIO):
        def readable(self) -> bool:
            raise AssertionError("somebody reads the body")

        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("somebody reads the body")

    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    content_type = "application/x-www-form-urlencoded"
    app.test_client().post("/login", input_stream=Body(), content_type=content_type, environ_overrides=chunked)
    assert [(row.outcome, row.identity) for row in rows_of(app)] == [("failure", None)]


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b'["list"]', b"\xff"])
def test_body_that_is_no_json_object_is_an_attempt_all_the_same(host: tuple[Flask, MelodyLogs], body: bytes) -> None:
    app, logs = host
    app.add_url_rule("/login", "auth.login", lambda: ("no", 400), methods=["POST"])
    logs.watch_sign_in("auth.login")
    assert app.test_client().post("/login", data=body, content_type="application/json").status_code == 400
    assert [(row.outcome, row.identity) for row in rows_of(app)] == [("failure", None)]


def test_looking_at_the_session_does_not_change_the_answer(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    app.add_url_rule("/login", "auth.login", lambda: "<form>", methods=["POST"])
    logs.watch_sign_in("auth.login")
    answer = app.test_client().post("/login", data=FORM)
    assert "Vary" not in answer.headers and "Set-Cookie" not in answer.headers
    assert len(rows_of(app)) == 1


def test_session_that_breaks_when_it_is_read_does_not_reach_the_host(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host

    class Broken(SecureCookieSession):
        def get(self, key: str, default: Any = None) -> Any:
            raise ConnectionError("the session store is gone")

    app.session_interface = type("Interface", (SecureCookieSessionInterface,), {"session_class": Broken})()
    app.add_url_rule("/login", "auth.login", lambda: redirect("/"), methods=["POST"])
    logs.watch_sign_in("auth.login")
    assert app.test_client().post("/login", data=FORM).status_code == 302
    assert len(rows_of(app)) == 1


def test_host_without_a_secret_key_keeps_the_attempt_without_its_hash() -> None:
    app, logs = make_host(SECRET_KEY=None)
    app.add_url_rule("/login", "auth.login", lambda: ({"token": "t"}, 200), methods=["POST"])
    logs.watch_sign_in("auth.login", identity="user")
    assert app.test_client().post("/login", json={"user": "ann@example.org"}).status_code == 200
    assert [(row.outcome, row.identity, row.identity_hash) for row in rows_of(app)] == [
        ("success", "ann@example.org", None)
    ]
    close_host(app)


@pytest.mark.parametrize("answer", [Response("", 302, {"Location": "/"}), "<p>Goodbye"])
def test_signing_out_names_who_was_signed_in(host: tuple[Flask, MelodyLogs], answer: Any) -> None:
    app, logs = host
    add_login_view(app)

    @app.post("/logout")
    def logout() -> Any:
        session.clear()
        flash("bye")
        return answer

    logs.watch_sign_in("auth.login")
    logs.watch_sign_in("logout", event="sign_out", method=None)
    client = app.test_client()
    client.post("/login", data=FORM | {"password": "right"})
    client.post("/logout")
    assert [(row.event, row.outcome, row.user_id) for row in rows_of(app)] == [
        ("sign_in", "success", "7"),
        ("sign_out", "success", "7"),
    ]


def test_unknown_event_of_a_watched_view_is_named() -> None:
    with pytest.raises(ValueError, match="\"event\" is 'signin'; accepted: sign_in, sign_out"):
        MelodyLogs().watch_sign_in("auth.login", event="signin")


def test_what_looks_like_a_password_in_the_name_field_is_not_kept(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    add_login_view(app)
    logs.watch_sign_in("auth.login")
    app.test_client().post("/login", data={"email": "hunter2-secret", "password": "wrong"})
    (row,) = rows_of(app)
    assert "unter2" not in row.identity
    assert row.identity_hash
