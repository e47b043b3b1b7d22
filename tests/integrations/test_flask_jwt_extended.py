"""Tokens of Flask-JWT-Extended: sign-ins, refreshes and others, each one row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask, jsonify
from flask_jwt_extended import (
    create_access_token,
    get_jwt_identity,
    jwt_required,
    set_access_cookies,
)

from melody_logs import MelodyLogs
from tests.integrations.oauth_client import rows_of
from tests.integrations.token_api import ADDRESS, RIGHT, WRONG, add_api, bearer, facts, make_tokens, sign_in

Host = tuple[Flask, MelodyLogs]


def test_wrong_and_right_password_without_a_word_of_set_up(host: Host) -> None:
    app, _ = host
    add_api(app)
    client = app.test_client()
    client.post("/login", json=WRONG)
    client.post("/login", json=RIGHT)
    assert facts(app) == [
        ("sign_in", "failure", None, None, ADDRESS),
        ("sign_in", "success", None, "7", ADDRESS),
    ]
    assert {(row.method, row.version) for row in rows_of(app)} == {("password", 1)}


def test_access_token_with_each_request_is_no_sign_in(host: Host) -> None:
    app, _ = host
    add_api(app)
    client = app.test_client()
    token = sign_in(client)["access"]
    assert client.get("/me", headers=bearer(token)).status_code == 200
    assert client.get("/me", headers=bearer("nonsense")).status_code == 422
    assert client.get("/me").status_code == 401
    assert len(rows_of(app)) == 1


def test_refresh_tokens_right_revoked_of_the_wrong_kind_and_forged(host: Host) -> None:
    app, _ = host
    revoked = add_api(app)
    client = app.test_client()
    tokens = sign_in(client)
    client.post("/refresh", headers=bearer(tokens["refresh"]))
    client.post("/logout", headers=bearer(tokens["refresh"]))
    assert revoked
    for token in (tokens["refresh"], tokens["access"], tokens["refresh"] + "x"):
        assert client.post("/refresh", headers=bearer(token)).status_code >= 400
    client.post("/refresh")
    assert facts(app)[1:] == [
        ("token_refresh", "success", None, "7", None),
        ("token_refresh", "failure", "revoked_token", "7", None),
        ("token_refresh", "failure", "wrong_token", None, None),
        ("token_refresh", "failure", "invalid_token", None, None),
    ]
    assert {row.method for row in rows_of(app)[1:]} == {"token"}


def test_refresh_token_that_has_expired_names_its_user(host: Host) -> None:
    app, _ = host
    app.config["JWT_REFRESH_TOKEN_EXPIRES"] = timedelta(seconds=-1)
    add_api(app)
    client = app.test_client()
    client.post("/refresh", headers=bearer(sign_in(client)["refresh"]))
    assert facts(app)[1:] == [("token_refresh", "failure", "expired_token", "7", None)]


def test_user_who_is_gone_fails_to_refresh(host: Host) -> None:
    app, _ = host
    add_api(app)
    client = app.test_client()
    tokens = sign_in(client)
    app.extensions["flask-jwt-extended"].user_lookup_loader(lambda header, claims: None)
    assert client.post("/refresh", headers=bearer(tokens["refresh"])).status_code == 401
    assert facts(app)[1:] == [("token_refresh", "failure", None, "7", None)]


def test_cookie_that_is_renewed_with_a_page_is_a_refresh_and_no_sign_in(host: Host) -> None:
    app, _ = host
    app.config.update(JWT_TOKEN_LOCATION=["cookies"], JWT_COOKIE_CSRF_PROTECT=False)
    add_api(app)

    @app.post("/enter")
    def enter() -> Any:
        answer = jsonify({})
        set_access_cookies(answer, create_access_token("7"))
        return answer

    @app.get("/page")
    @jwt_required()
    def page() -> Any:
        answer = jsonify({})
        set_access_cookies(answer, create_access_token(get_jwt_identity()))
        return answer

    client = app.test_client()
    client.post("/enter")
    client.get("/page")
    assert [row[:4] for row in facts(app)] == [
        ("sign_in", "success", None, "7"),
        ("token_refresh", "success", None, "7"),
    ]


def test_token_for_somebody_else_is_no_sign_in(host: Host) -> None:
    app, _ = host
    add_api(app)

    @app.post("/robots")
    @jwt_required()
    def robots() -> Any:
        return {"token": create_access_token("robot")}

    client = app.test_client()
    token = sign_in(client)["access"]
    assert client.post("/robots", headers=bearer(token)).status_code == 200
    assert client.post("/robots", headers=bearer("nonsense")).status_code == 422
    assert client.post("/robots").status_code == 401
    assert len(rows_of(app)) == 1


def test_tokens_outside_a_request_are_not_recorded(host: Host) -> None:
    app, _ = host
    add_api(app)
    with app.app_context():
        make_tokens()
    assert rows_of(app) == []
