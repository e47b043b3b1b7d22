"""Sign-ins through Authlib's clients, against a real provider: one row for each callback, without codes and tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from flask import Flask, abort, flash, redirect, session
from flask_jwt_extended import JWTManager, create_access_token
from flask_login import LoginManager, UserMixin, login_user

from melody_logs import MelodyLogs
from melody_logs.integrations import Authlib
from tests.integrations.oauth_client import add_client, enter, go_through, rows_of
from tests.integrations.openid_provider import Provider
from tests.servers.processes import free_port

Sign = Callable[..., Any]


def test_right_token_and_session_are_one_success(
    host: tuple[Flask, MelodyLogs], provider: Provider, provider_url: str
) -> None:
    app, _ = host
    add_client(app, provider_url)
    assert go_through(app.test_client()).location == "/"
    (row,) = rows_of(app)
    assert (row.event, row.outcome, row.method, row.user_id) == ("sign_in", "success", "oauth:acme", "7")
    assert (row.identity, row.endpoint, row.reason, row.version) == ("ann@example.org", "callback", None, 1)


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        ("access_denied", OAuthError, "access_denied"),
        ("token_error", OAuthError, "provider_error"),
        ("token_page", requests.HTTPError, "provider_error"),
        ("token_slow", requests.ReadTimeout, "provider_error"),
        ("forged", Exception, "invalid_id_token"),
        ("other_nonce", Exception, "invalid_id_token"),
    ],
)
def test_what_goes_wrong_at_the_provider_is_one_failure(
    host: tuple[Flask, MelodyLogs],
    provider: Provider,
    provider_url: str,
    answer: str,
    error: type[Exception],
    reason: str,
) -> None:
    app, _ = host
    add_client(app, provider_url)
    provider.answer = answer
    with pytest.raises(error):
        go_through(app.test_client())
    (row,) = rows_of(app)
    assert (row.outcome, row.reason, row.method) == ("failure", reason, "oauth:acme")
    assert (row.identity, row.user_id) == (None, None)


def test_error_that_the_host_answers_is_one_failure(
    host: tuple[Flask, MelodyLogs], provider: Provider, provider_url: str
) -> None:
    app, _ = host
    add_client(app, provider_url)
    app.register_error_handler(OAuthError, lambda error: redirect("/"))
    provider.answer = "access_denied"
    assert go_through(app.test_client()).status_code == 302
    assert [(row.outcome, row.reason) for row in rows_of(app)] == [("failure", "access_denied")]


@pytest.mark.parametrize("query", ["", "?code=abc&state=of-somebody-else", "?error=my-secret-word&state=x"])
def test_callback_of_nobody_is_a_failure_that_keeps_nothing_of_its_address(
    host: tuple[Flask, MelodyLogs], provider_url: str, query: str
) -> None:
    app, _ = host
    add_client(app, provider_url)
    app.register_error_handler(OAuthError, lambda error: ("no", 400))
    app.test_client().get(f"/callback{query}")
    (row,) = rows_of(app)
    assert (row.outcome, row.reason) == ("failure", "provider_error" if "error" in query else "state_mismatch")
    assert "my-secret-word" not in str(row)


def test_provider_that_is_down_fails_where_the_user_starts(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    add_client(app, f"http://127.0.0.1:{free_port()}")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert app.test_client().get("/start").status_code == 500
    assert [(row.outcome, row.reason, row.endpoint) for row in rows_of(app)] == [("failure", "provider_error", "start")]


def test_redirect_to_the_provider_is_no_attempt(host: tuple[Flask, MelodyLogs], provider_url: str) -> None:
    app, _ = host
    add_client(app, provider_url)
    assert app.test_client().get("/start").status_code == 302
    assert rows_of(app) == []


def refuse_with_403(token: Any) -> Any:
    abort(403)


def refuse_with_message(token: Any) -> Any:
    flash("There is no such account.")
    return redirect("/")


def crash(token: Any) -> Any:
    raise RuntimeError("the host's own fault")


@pytest.mark.parametrize("refuse", [refuse_with_403, refuse_with_message, crash])
def test_account_that_the_host_refuses_is_a_failure_with_its_name(
    host: tuple[Flask, MelodyLogs], provider_url: str, refuse: Sign
) -> None:
    app, _ = host
    app.config["PROPAGATE_EXCEPTIONS"] = False
    add_client(app, provider_url, refuse)
    go_through(app.test_client())
    assert [(row.outcome, row.identity, row.user_id) for row in rows_of(app)] == [("failure", "ann@example.org", None)]


def keep_profile(token: Any) -> Any:
    session["profile"] = token["userinfo"]["email"]
    return redirect("/")


def greet(token: Any) -> Any:
    return f"<p>Hello {token['userinfo']['email']}"


def give_token(token: Any) -> Any:
    return {"token": "for the app"}


@pytest.mark.parametrize("sign", [keep_profile, greet, give_token])
def test_host_that_keeps_its_user_elsewhere_has_a_success(
    host: tuple[Flask, MelodyLogs], provider_url: str, sign: Sign
) -> None:
    app, _ = host
    add_client(app, provider_url, sign)
    go_through(app.test_client())
    assert [(row.outcome, row.user_id) for row in rows_of(app)] == [("success", None)]


def test_host_says_outcome_and_user(host: tuple[Flask, MelodyLogs], provider_url: str) -> None:
    app, logs = host
    asks_for_more: list[Any] = [None, True, "challenge"]
    logs.use(Authlib(user_id=lambda: session.get("profile"), outcome=lambda response: asks_for_more.pop()))
    add_client(app, provider_url, keep_profile)
    client = app.test_client()
    for _ in range(3):
        go_through(client)
    assert [(row.outcome, row.user_id) for row in rows_of(app)] == [
        ("challenge", None),
        ("success", "ann@example.org"),
        ("success", "ann@example.org"),
    ]


@pytest.mark.parametrize("part", ["user_id", "outcome"])
def test_broken_function_of_the_host_loses_its_fact_and_not_the_attempt(
    host: tuple[Flask, MelodyLogs], provider_url: str, part: str
) -> None:
    app, logs = host
    broken: dict[str, Any] = {part: lambda *given: 1 / 0}
    logs.use(Authlib(**broken))
    add_client(app, provider_url)
    assert go_through(app.test_client()).location == "/"
    assert [(row.outcome, row.user_id is None) for row in rows_of(app)] == [("success", part == "user_id")]


class Account(UserMixin):
    """An account of Flask-Login."""

    id = 7


def test_flask_login_in_the_same_request_gives_one_row(host: tuple[Flask, MelodyLogs], provider_url: str) -> None:
    app, _ = host
    manager = LoginManager(app)
    manager.user_loader(lambda user_id: Account())
    add_client(app, provider_url, lambda token: str(login_user(Account())))
    client = app.test_client()
    go_through(client)
    assert [(row.outcome, row.user_id, row.method) for row in rows_of(app)] == [("success", "7", "oauth:acme")]


def test_flask_login_without_a_user_is_a_failure(host: tuple[Flask, MelodyLogs], provider_url: str) -> None:
    app, _ = host
    LoginManager(app)
    add_client(app, provider_url, lambda token: redirect("/"))
    go_through(app.test_client())
    assert [(row.outcome, row.identity) for row in rows_of(app)] == [("failure", "ann@example.org")]


def test_tokens_of_the_host_in_the_same_request_give_one_row(host: tuple[Flask, MelodyLogs], provider_url: str) -> None:
    app, _ = host
    app.config["JWT_SECRET_KEY"] = "a key for tests that is long enough"
    JWTManager(app)
    add_client(app, provider_url, lambda token: {"access": create_access_token("7")})
    go_through(app.test_client())
    assert [(row.event, row.outcome, row.user_id, row.method) for row in rows_of(app)] == [
        ("sign_in", "success", "7", "oauth:acme")
    ]


@pytest.mark.parametrize("answer", ["right", "userinfo_error"])
def test_plain_oauth_takes_the_name_from_userinfo(
    host: tuple[Flask, MelodyLogs], provider: Provider, provider_url: str, answer: str
) -> None:
    app, _ = host
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def sign(token: Any) -> Any:
        oauth.acme.userinfo()
        return enter(token)

    oauth = add_client(app, provider_url, sign, scope="email")
    provider.answer = answer
    go_through(app.test_client())
    is_right = answer == "right"
    assert [(row.outcome, row.reason, row.identity) for row in rows_of(app)] == [
        ("success", None, "ann@example.org") if is_right else ("failure", "provider_error", None)
    ]
