"""Watched login views: every POST is one row with the right outcome, and the view is not touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, request

from melody_logs import MelodyLogs
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


def test_broken_reader_does_not_reach_the_host(
    host: tuple[Flask, MelodyLogs], caplog: pytest.LogCaptureFixture
) -> None:
    app, logs = host
    add_login_view(app)
    logs.watch_sign_in("auth.login", identity=lambda: 1 / 0)
    assert app.test_client().post("/login", data=FORM | {"password": "right"}).status_code == 302
    assert 'the attempt at "auth.login" could not be read' in caplog.text


def test_what_looks_like_a_password_in_the_name_field_is_not_kept(host: tuple[Flask, MelodyLogs]) -> None:
    app, logs = host
    add_login_view(app)
    logs.watch_sign_in("auth.login")
    app.test_client().post("/login", data={"email": "hunter2-secret", "password": "wrong"})
    (row,) = rows_of(app)
    assert "unter2" not in row.identity
    assert row.identity_hash
