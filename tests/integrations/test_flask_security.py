"""FlaskSecurity against Flask-Security-Too itself: each attempt is one row, however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask_login import login_user
from flask_security import Security, uia_email_mapper, uia_phone_mapper
from sqlalchemy import event

from melody_logs import MelodyLogs
from melody_logs.integrations import FlaskSecurity
from melody_logs.state import state_of
from tests.hosts import make_host
from tests.integrations.security_host import ANN, NUMBER, PASSWORD, SecurityHost

#: What Flask-Security does itself, and what it is about to leave out.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The passwordless feature was deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The auto-login after successful:DeprecationWarning"),
]
Make = Callable[..., SecurityHost]
NOBODY = "nobody@example.org"
SIGNED_IN = ("sign_in", "success", None, "password", ANN, "1")
TWO_FACTOR = {"TWO_FACTOR": True, "TWO_FACTOR_RESCUE_EMAIL": True, "MULTI_FACTOR_RECOVERY_CODES": True}
IDENTITIES = {
    "USER_IDENTITY_ATTRIBUTES": [
        {"email": {"mapper": uia_email_mapper, "case_insensitive": True}},
        {"us_phone_number": {"mapper": uia_phone_mapper}},
    ]
}


@pytest.fixture
def make() -> Iterator[Make]:
    """A function that makes a host with the features of Flask-Security that it names."""
    hosts = []

    def make_one(logs: MelodyLogs | None = None, *, auto_integrate: bool = True, **features: Any) -> SecurityHost:
        hosts.append(SecurityHost(features, logs, MELODY_LOGS_AUTO_INTEGRATE=auto_integrate))
        return hosts[-1]

    yield make_one
    for host in hosts:
        host.close()


@pytest.mark.parametrize("answer", ["form", "json"])
@pytest.mark.parametrize("generic", [False, True])
def test_each_sign_in_is_one_row_with_its_outcome_and_reason(make: Make, answer: str, generic: bool) -> None:
    host = make(RETURN_GENERIC_RESPONSES=generic)
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
    assert list(state_of(host.app).integrations) == ["flask-security"]


def test_an_account_that_the_host_has_locked_says_so(make: Make) -> None:
    host = make()

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


def test_an_account_that_is_not_confirmed_says_so_and_its_confirmation_signs_it_in(make: Make) -> None:
    host = make(CONFIRMABLE=True, AUTO_LOGIN_AFTER_CONFIRM=True)
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


def test_what_is_refused_before_the_form_is_checked_is_a_failure(make: Make) -> None:
    host = make()
    answers = iter([429, 400])
    host.app.before_request(lambda: ("no", next(answers)))
    host.sign_in()
    host.sign_in()
    assert host.told() == [
        ("sign_in", "failure", "rate_limited", None, ANN, None),
        ("sign_in", "failure", None, None, ANN, None),
    ]


def test_a_sign_in_asks_the_database_nothing_more(make: Make) -> None:
    counts = []
    for is_automatic in (False, True):
        host = make(auto_integrate=is_automatic)
        statements: list[Any] = []
        with host.app.app_context():
            event.listen(host.db.engine, "before_cursor_execute", lambda *given, seen=statements: seen.append(given))
        for email, password in ((ANN, "wrong password"), (NOBODY, PASSWORD), ("idle@example.org", PASSWORD)):
            host.sign_in(password, email)
        counts.append((len(statements), len(host.rows())))
    assert counts[0][0] == counts[1][0] > 0
    assert [rows for _, rows in counts] == [0, 3]


@pytest.mark.parametrize(("way", "method"), [("authenticator", "otp"), ("sms", "sms_code"), ("email", "email_code")])
def test_a_second_factor_is_a_challenge_and_each_try_at_it_a_row(make: Make, way: str, method: str) -> None:
    host = make(**TWO_FACTOR)
    host.set_up_second_factor(way)
    host.sign_in()
    for code in ("", "000000", host.make_code() if way == "authenticator" else host.read_code()):
        host.client.post("/tf-validate", data={"code": code})
    assert host.told() == [
        ("sign_in", "challenge", None, "password", ANN, "1"),
        ("sign_in", "failure", "missing_code", method, ANN, "1"),
        ("sign_in", "failure", "wrong_code", method, ANN, "1"),
        ("sign_in", "success", None, method, ANN, "1"),
    ]


def test_a_second_factor_that_is_set_up_in_the_sign_in_completes_it(make: Make) -> None:
    host = make(**TWO_FACTOR, TWO_FACTOR_REQUIRED=True)
    host.sign_in()
    host.client.post("/tf-setup", data={"setup": "email"})
    host.client.post("/tf-validate", data={"code": host.read_code()})
    # Who is signed in and changes the factor signs in to nothing.
    host.client.post("/tf-setup", data={"setup": "sms", "phone": NUMBER})
    host.client.post("/tf-validate", data={"code": "000000"})
    assert host.told() == [
        ("sign_in", "challenge", None, "password", ANN, "1"),
        ("sign_in", "success", None, "email_code", ANN, "1"),
    ]


def test_a_code_that_cannot_be_sent_is_a_failure_of_the_provider(make: Make) -> None:
    host = make(**TWO_FACTOR)
    host.set_up_second_factor("email")
    host.outbox.is_down = True
    host.sign_in()
    assert host.told() == [("sign_in", "failure", "provider_error", "password", ANN, "1")]
    assert [(row.status, row.purpose) for row in host.rows("email")] == [("failed", "mfa")]


def test_recovery_codes_and_the_way_to_lose_a_factor_are_recorded(make: Make) -> None:
    host = make(**TWO_FACTOR)
    host.sign_in()
    host.client.post("/mf-recovery-codes", data={"generate_new_codes": True})
    host.client.post("/logout")
    host.set_up_second_factor("authenticator")
    host.sign_in()
    host.client.post("/tf-rescue", data={"help_setup": "email"})
    with host.app.app_context():
        code = host.store.find_user(email=ANN).mf_recovery_codes[0]
    for tried in ("", "no such code", code):
        host.client.post("/mf-recovery", data={"code": tried})
    assert host.told()[1:2] + host.told()[3:] == [
        ("recovery", "success", None, "recovery_code", ANN, "1"),
        ("sign_in", "challenge", None, "password", ANN, "1"),
        ("recovery", "challenge", None, "email_code", ANN, "1"),
        ("sign_in", "failure", "missing_code", "recovery_code", ANN, "1"),
        ("sign_in", "failure", "wrong_code", "recovery_code", ANN, "1"),
        ("sign_in", "success", None, "recovery_code", ANN, "1"),
    ]


def test_a_forgotten_password_is_a_recovery_and_then_a_reset(make: Make) -> None:
    host = make(RECOVERABLE=True)
    for email in (NOBODY, "idle@example.org", ANN):
        host.client.post("/reset", data={"email": email})
    link = host.read_link("/reset/")
    host.client.get(link)
    host.client.post(link, data={"password": "short", "password_confirm": "short"})
    host.client.post(link, data={"password": "another password", "password_confirm": "another password"})
    host.client.post(link, data={"password": "another password", "password_confirm": "another password"})
    host.client.get(link)
    host.client.get("/reset/no-such-token")
    assert host.told() == [
        ("recovery", "failure", "unknown_account", "magic_link", NOBODY, None),
        ("recovery", "failure", "inactive_account", "magic_link", "idle@example.org", "2"),
        ("recovery", "success", None, "magic_link", ANN, "1"),
        ("password_reset", "failure", "password_refused", "magic_link", ANN, "1"),
        ("password_reset", "success", None, "magic_link", ANN, "1"),
        ("password_reset", "failure", "expired_code", "magic_link", None, None),
        ("password_reset", "failure", "expired_code", "magic_link", None, None),
        ("password_reset", "failure", "wrong_code", "magic_link", None, None),
    ]


def test_a_reset_that_signs_in_is_two_rows_and_an_old_link_says_so(make: Make) -> None:
    host = make(RECOVERABLE=True, AUTO_LOGIN_AFTER_RESET=True)
    host.client.post("/reset", data={"email": ANN})
    link = host.read_link("/reset/")
    host.app.config["SECURITY_RESET_PASSWORD_WITHIN"] = timedelta(seconds=-1)
    host.client.get(link)
    host.app.config["SECURITY_RESET_PASSWORD_WITHIN"] = timedelta(days=1)
    host.client.post(link, json={"password": "another password", "password_confirm": "another password"})
    assert [(row.event, row.outcome, row.reason, row.method) for row in host.rows()[1:]] == [
        ("password_reset", "failure", "expired_code", "magic_link"),
        ("password_reset", "success", None, "magic_link"),
        ("sign_in", "success", None, "password_reset"),
    ]


def test_a_recovery_whose_mail_cannot_be_sent_is_a_failure_of_the_provider(make: Make) -> None:
    host = make(RECOVERABLE=True)
    host.outbox.is_down = True
    host.app.config["PROPAGATE_EXCEPTIONS"] = False
    assert host.client.post("/reset", data={"email": ANN}).status_code == 500
    assert host.told() == [("recovery", "failure", "provider_error", "magic_link", ANN, "1")]
    assert [row.status for row in host.rows("email")] == ["failed"]


def test_a_changed_password_is_no_new_sign_in(make: Make) -> None:
    host = make(CHANGEABLE=True)
    host.client.post("/change", data={"password": PASSWORD, "new_password": "x", "new_password_confirm": "x"})
    host.sign_in()
    for old in ("wrong password", PASSWORD):
        sent = {"password": old, "new_password": "another password", "new_password_confirm": "another password"}
        host.client.post("/change", data=sent)
    assert host.told() == [
        SIGNED_IN,
        ("password_change", "failure", "wrong_password", "password", ANN, "1"),
        ("password_change", "success", None, "password", ANN, "1"),
    ]
    assert [row.purpose for row in host.rows("email")] == ["security_notice"]


def test_who_proves_anew_who_they_are_signs_in_once_more(make: Make) -> None:
    host = make()
    host.sign_in()
    for password in ("wrong password", PASSWORD):
        host.client.post("/verify", data={"password": password})
    assert host.told() == [SIGNED_IN, ("sign_in", "failure", "wrong_password", "password", ANN, "1"), SIGNED_IN]
    assert host.rows()[1].endpoint == "security.verify"


def test_links_instead_of_passwords_are_challenges_until_they_are_followed(make: Make) -> None:
    host = make(PASSWORDLESS=True)
    for email in (NOBODY, "idle@example.org", ANN):
        host.client.post("/login", data={"email": email})
    host.client.get("/login/no-such-token")
    host.client.get(host.read_link("/login/"))
    assert host.told() == [
        ("sign_in", "failure", "unknown_account", "magic_link", NOBODY, None),
        ("sign_in", "failure", "inactive_account", "magic_link", "idle@example.org", "2"),
        ("sign_in", "challenge", None, "magic_link", ANN, "1"),
        ("sign_in", "failure", "wrong_code", "magic_link", None, None),
        ("sign_in", "success", None, "magic_link", ANN, "1"),
    ]
    (mail,) = host.rows("email")
    assert (mail.purpose, mail.template) == ("magic_link", "security/email/login_instructions")


def test_unified_sign_ins_tell_passwords_codes_and_links_apart(make: Make) -> None:
    host = make(UNIFIED_SIGNIN=True, US_ENABLED_METHODS=["password", "email", "sms"], US_MFA_REQUIRED=[], **IDENTITIES)
    with host.app.app_context():
        user = host.store.find_user(email=ANN)
        secrets = {way: host.security.totp_factory.generate_totp_secret() for way in ("email", "sms")}
        for way, secret in secrets.items():
            host.store.us_set(user, way, secret, NUMBER if way == "sms" else None)
        host.db.session.commit()
    for passcode in ("wrong password", "000000", "", PASSWORD):
        host.client.post("/us-signin", data={"identity": ANN, "passcode": passcode})
    host.client.post("/logout")
    host.client.post("/us-signin", json={"identity": NOBODY, "passcode": PASSWORD})
    host.client.post("/us-signin/send-code", data={"identity": ANN, "chosen_method": "email"})
    link = host.read_link("/us-verify-link")
    host.client.get(f"{link[:-6]}000000")
    host.client.get(link)
    host.client.post("/logout")
    host.client.post("/us-signin/send-code", json={"identity": ANN, "chosen_method": "sms"})
    host.client.post("/us-signin", json={"identity": ANN, "passcode": host.read_code()})
    assert [entry for entry in host.told() if entry[0] == "sign_in"] == [
        ("sign_in", "failure", "wrong_password", "password", ANN, "1"),
        ("sign_in", "failure", "wrong_code", None, ANN, "1"),
        ("sign_in", "failure", "missing_code", "password", ANN, "1"),
        SIGNED_IN,
        ("sign_in", "failure", "unknown_account", "password", NOBODY, None),
        ("sign_in", "challenge", None, "email_code", ANN, "1"),
        ("sign_in", "failure", "wrong_code", "magic_link", ANN, "1"),
        ("sign_in", "success", None, "magic_link", ANN, "1"),
        ("sign_in", "challenge", None, "sms_code", ANN, "1"),
        ("sign_in", "success", None, "sms_code", ANN, "1"),
    ]
    assert [row.purpose for row in (*host.rows("email"), *host.rows("sms"))] == ["magic_link", "sign_in_code"]


def test_tokens_are_no_sign_ins_but_their_renewal_is_an_event(make: Make) -> None:
    host = make(REFRESH_TOKEN=True, REFRESH_TOKEN_COOKIE_NAME=None)
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


def test_registering_and_a_view_that_calls_flask_login_itself_sign_in(make: Make) -> None:
    host = make(REGISTERABLE=True, SEND_REGISTER_EMAIL=True)

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


def test_it_is_connected_when_asked_for_before_the_extension_is_there(make: Make) -> None:
    logs = MelodyLogs()
    logs.use(FlaskSecurity())
    host = make(logs)
    host.sign_in("wrong password")
    assert [row.reason for row in host.rows()] == ["wrong_password"]
    assert state_of(host.app).found_integrations == set()


def test_two_apps_are_told_apart(make: Make) -> None:
    first, second = make(), make()
    first.sign_in("wrong password")
    second.sign_in()
    assert [row.outcome for row in first.rows()] == ["failure"]
    assert [row.outcome for row in second.rows()] == ["success"]


def test_a_host_without_the_sign_in_log_is_left_as_it_is(make: Make) -> None:
    host = make()
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


def test_flows_without_a_trace_are_named(make: Make) -> None:
    host = make(API_ENABLED_METHODS=["session", "basic"])
    host.client.get("/login")
    mail, basic = FlaskSecurity().find_gaps(host.app)
    assert "emails of Flask-Security leave no trace" in mail
    assert "HTTP basic authentication" in basic
    app, _ = make_host()
    (gap,) = FlaskSecurity().find_gaps(app)
    assert "not initialised" in gap
    state_of(app).drain_thread.stop(5)
    state_of(app).database.close()
