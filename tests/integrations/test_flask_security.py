"""FlaskSecurity against Flask-Security-Too itself: each attempt is one row, however it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask_login import login_user
from flask_security import FsOAuthProvider, Security, uia_email_mapper, uia_phone_mapper
from sqlalchemy import event

from melody_logs import MelodyLogs
from melody_logs.integrations import FlaskSecurity
from melody_logs.state import state_of
from tests.hosts import make_host
from tests.integrations.security_host import ANN, PASSWORD, MakeSecured, TextSender

#: What Flask-Security does itself, and what it is about to leave out.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The passwordless feature was deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The auto-login after successful:DeprecationWarning"),
]
NOBODY = "nobody@example.org"
SIGNED_IN = ("sign_in", "success", None, "password", ANN, "1")
TWO_FACTOR = {"TWO_FACTOR": True, "TWO_FACTOR_RESCUE_EMAIL": True, "MULTI_FACTOR_RECOVERY_CODES": True}
IDENTITIES = {
    "USER_IDENTITY_ATTRIBUTES": [
        {"email": {"mapper": uia_email_mapper, "case_insensitive": True}},
        {"us_phone_number": {"mapper": uia_phone_mapper}},
    ]
}


@pytest.mark.parametrize("answer", ["form", "json"])
@pytest.mark.parametrize("generic", [False, True])
def test_each_sign_in_is_one_row_with_its_outcome_and_reason(
    make_secured: MakeSecured, answer: str, generic: bool
) -> None:
    host = make_secured(RETURN_GENERIC_RESPONSES=generic)
    tries = [(ANN, "wrong password"), (NOBODY, PASSWORD), ("idle@example.org", PASSWORD), (ANN, PASSWORD)]
    for email, password in tries:
        host.client.post("/login", **{"data" if answer == "form" else "json": {"email": email, "password": password}})
    # Who is signed in already tries nothing.
    host.sign_in()
    host.client.post("/logout")
    assert host.told() == [
        ("sign_in", "failure", "wrong_password", "password", ANN, "1"),
        ("sign_in", "failure", "unknown_account", "password", NOBODY, None),
        ("sign_in", "failure", "inactive_account", "password", "idle@example.org", "2"),
        SIGNED_IN,
        ("sign_out", "success", None, None, ANN, "1"),
    ]
    assert host.rows()[3].user_id_is_integer
    connected = state_of(host.app).integrations
    assert "flask-security" in connected and "flask-login" not in connected


def test_an_account_that_the_host_has_locked_says_so(make_secured: MakeSecured) -> None:
    host = make_secured()

    def is_locked(user: Any, form_error: list[str]) -> bool:
        form_error.append("Come back tomorrow")
        return True

    host.store.user_model.is_locked = is_locked
    host.sign_in()
    host.sign_in("wrong password")
    assert [(row.outcome, row.reason) for row in host.rows()] == [
        ("failure", "locked_account"),
        ("failure", "wrong_password"),
    ]


def test_an_account_that_is_not_confirmed_says_so_and_its_confirmation_signs_it_in(make_secured: MakeSecured) -> None:
    host = make_secured(CONFIRMABLE=True, AUTO_LOGIN_AFTER_CONFIRM=True)
    host.sign_in()
    host.client.post("/confirm", data={"email": ANN})
    host.client.get(host.read_link("/confirm/"))
    assert host.told() == [
        ("sign_in", "failure", "unconfirmed_account", "password", ANN, "1"),
        ("sign_in", "success", None, "confirmation", ANN, "1"),
    ]
    (mail,) = host.rows("email")
    assert (mail.purpose, mail.template, mail.user_id) == (
        "verification", "security/email/confirmation_instructions", "1"
    )  # fmt: skip


def test_what_is_refused_before_the_form_is_checked_is_a_failure(make_secured: MakeSecured) -> None:
    host = make_secured()
    answers = iter([429, 400])
    host.app.before_request(lambda: ("no", next(answers)))
    host.sign_in()
    host.sign_in()
    assert host.told() == [
        ("sign_in", "failure", "rate_limited", None, ANN, None),
        ("sign_in", "failure", None, None, ANN, None),
    ]


def test_a_sign_in_asks_the_database_nothing_more(make_secured: MakeSecured) -> None:
    counts = []
    for is_automatic in (False, True):
        host = make_secured(config={"MELODY_LOGS_AUTO_INTEGRATE": is_automatic})
        statements: list[Any] = []
        with host.app.app_context():
            event.listen(host.db.engine, "before_cursor_execute", lambda *given, seen=statements: seen.append(given))
        for email, password in ((ANN, "wrong password"), (NOBODY, PASSWORD), ("idle@example.org", PASSWORD)):
            host.sign_in(password, email)
        counts.append((len(statements), len(host.rows())))
    assert counts[0][0] == counts[1][0] > 0
    assert [rows for _, rows in counts] == [0, 3]


def test_providers_say_yes_or_no(make_secured: MakeSecured, serve: Callable[[Flask], str]) -> None:
    provider = Flask("provider")
    emails = iter([ANN, NOBODY, "idle@example.org"])
    provider.add_url_rule(
        "/token",
        view_func=lambda: {"access_token": "a token", "token_type": "bearer", "email": next(emails)},
        methods=["POST"],
    )
    host = make_secured(OAUTH_ENABLE=True, OAUTH_BUILTIN_PROVIDERS=[])
    address = serve(provider)
    places = {"authorize_url": f"{address}/authorize", "access_token_url": f"{address}/token"}
    glue: Any = host.security.oauthglue
    glue.register_provider_ext(
        FsOAuthProvider(
            "local",
            places | {"client_id": "us", "client_secret": "key"},
            lambda oauth, token: ("email", token["email"]),
        )
    )
    for _ in range(3):
        client = host.app.test_client()
        there = client.post("/login/oauthstart/local").location
        state = parse_qs(urlsplit(there).query)["state"][0]
        client.get(f"/login/oauthresponse/local?code=0&state={state}")
    client.get("/login/oauthresponse/local?code=0&state=forged")
    assert host.told() == [
        ("sign_in", "success", None, "oauth:local", ANN, "1"),
        ("sign_in", "failure", "unknown_account", "oauth:local", None, None),
        ("sign_in", "failure", "inactive_account", "oauth:local", None, None),
        ("sign_in", "failure", "state_mismatch", "oauth:local", None, None),
    ]


def test_an_app_that_fails_closed_signs_nobody_in_without_a_log(make_secured: MakeSecured) -> None:
    host = make_secured(config={"MELODY_LOGS_ON_FAILURE": "fail_closed", "TESTING": False}, **TWO_FACTOR)
    host.set_up_second_factor("sms")
    folder = state_of(host.app).spool.directory
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("no folder")
    assert host.sign_in().status_code == 503
    assert TextSender.messages == []
    with host.client.session_transaction() as session:
        assert "tf_user_id" not in session


def test_tokens_are_no_sign_ins_but_their_renewal_is_an_event(make_secured: MakeSecured) -> None:
    host = make_secured(REFRESH_TOKEN=True, REFRESH_TOKEN_COOKIE_NAME=None)
    answer: Any = host.client.post("/login?include_auth_token", json={"email": ANN, "password": PASSWORD}).json
    tokens: dict[str, str] = answer["response"]["user"]
    host.client.post("/logout")
    other = host.app.test_client()
    for token in (tokens["authentication_token"], "no token"):
        other.get("/verify", headers={"Authentication-Token": token, "Accept": "application/json"})
    for token in (tokens["refresh_token"], tokens["refresh_token"], "no token"):
        other.post("/refresh-token", json={"refresh_token": token})
    assert host.told()[2:] == [
        ("token_refresh", "success", None, "token", ANN, "1"),
        ("token_refresh", "failure", "reused_token", "token", ANN, "1"),
        ("token_refresh", "failure", "invalid_token", "token", None, None),
    ]


def test_registering_and_a_view_that_calls_flask_login_itself_sign_in(make_secured: MakeSecured) -> None:
    host = make_secured(REGISTERABLE=True, SEND_REGISTER_EMAIL=True)

    @host.app.post("/enter")
    def enter() -> str:
        login_user(host.store.find_user(email=ANN))
        return "in"

    host.client.post("/register", data={"email": "bob@example.org", "password": PASSWORD, "password_confirm": PASSWORD})
    host.app.test_client().post("/enter")
    assert host.told() == [
        ("sign_in", "success", None, "registration", "bob@example.org", "3"),
        ("sign_in", "success", None, None, ANN, "1"),
    ]
    assert [row.purpose for row in host.rows("email")] == ["welcome"]


def test_it_is_connected_when_asked_for_before_the_extension_is_there(make_secured: MakeSecured) -> None:
    logs = MelodyLogs()
    logs.use(FlaskSecurity())
    host = make_secured(logs)
    host.sign_in("wrong password")
    assert [row.reason for row in host.rows()] == ["wrong_password"]
    assert "flask-security" not in state_of(host.app).found_integrations


def test_two_apps_are_told_apart(make_secured: MakeSecured) -> None:
    first, second = make_secured(), make_secured()
    first.sign_in("wrong password")
    second.sign_in()
    assert [row.outcome for row in first.rows()] == ["failure"]
    assert [row.outcome for row in second.rows()] == ["success"]


def test_a_host_without_the_sign_in_log_is_left_as_it_is(make_secured: MakeSecured) -> None:
    host = make_secured()
    bare = Flask("bare")
    bare.config.update(SECRET_KEY="test", SECURITY_PASSWORD_SALT="salt")
    Security(bare, host.store)
    app, _ = make_host(MELODY_LOGS_ENABLE_SIGN_IN_LOG=False, MELODY_LOGS_ENABLE_EMAIL_LOG=False)
    app.config.update(SECURITY_PASSWORD_SALT="salt", MELODY_LOGS_ENABLE_SMS_LOG=False)
    Security(app, host.store)
    with app.app_context():
        assert "flask-security" in state_of(app).integrations
    ours, theirs = app.extensions["security"], bare.extensions["security"]
    assert ours.forms["login_form"].instantiator == theirs.forms["login_form"].instantiator
    assert state_of(app).found_views == {}
    state_of(app).drain_thread.stop(5)
    state_of(app).database.close()


def test_flows_without_a_trace_are_named(make_secured: MakeSecured) -> None:
    host = make_secured(API_ENABLED_METHODS=["session", "basic"])
    host.client.get("/login")
    mail, basic = FlaskSecurity().find_gaps(host.app)
    assert "emails of Flask-Security leave no trace" in mail
    assert "HTTP basic authentication" in basic
    app, _ = make_host()
    (gap,) = FlaskSecurity().find_gaps(app)
    assert "not initialised" in gap
    state_of(app).drain_thread.stop(5)
    state_of(app).database.close()
