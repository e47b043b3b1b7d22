"""FlaskSecurity where a sign-in has several steps: second factors, mailed links, new passwords, proofs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask_security import uia_email_mapper, uia_phone_mapper

from tests.integrations.security_host import ANN, NUMBER, PASSWORD, MakeSecured

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


@pytest.mark.parametrize(("way", "method"), [("authenticator", "otp"), ("sms", "sms_code"), ("email", "email_code")])
def test_a_second_factor_is_a_challenge_and_each_try_at_it_a_row(
    make_secured: MakeSecured, way: str, method: str
) -> None:
    host = make_secured(**TWO_FACTOR)
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


def test_a_second_factor_that_is_set_up_in_the_sign_in_completes_it(make_secured: MakeSecured) -> None:
    host = make_secured(**TWO_FACTOR, TWO_FACTOR_REQUIRED=True)
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


def test_a_code_that_cannot_be_sent_is_a_failure_of_the_provider(make_secured: MakeSecured) -> None:
    host = make_secured(**TWO_FACTOR)
    host.set_up_second_factor("email")
    host.outbox.is_down = True
    host.sign_in()
    assert host.told() == [("sign_in", "failure", "provider_error", "password", ANN, "1")]
    assert [(row.status, row.purpose) for row in host.rows("email")] == [("failed", "mfa")]


def test_recovery_codes_and_the_way_to_lose_a_factor_are_recorded(make_secured: MakeSecured) -> None:
    host = make_secured(**TWO_FACTOR)
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


def test_a_forgotten_password_is_a_recovery_and_then_a_reset(make_secured: MakeSecured) -> None:
    host = make_secured(RECOVERABLE=True)
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


def test_a_reset_that_signs_in_is_two_rows_and_an_old_link_says_so(make_secured: MakeSecured) -> None:
    host = make_secured(RECOVERABLE=True, AUTO_LOGIN_AFTER_RESET=True)
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


def test_a_recovery_whose_mail_cannot_be_sent_is_a_failure_of_the_provider(make_secured: MakeSecured) -> None:
    host = make_secured(RECOVERABLE=True)
    host.outbox.is_down = True
    host.app.config["PROPAGATE_EXCEPTIONS"] = False
    assert host.client.post("/reset", data={"email": ANN}).status_code == 500
    assert host.told() == [("recovery", "failure", "provider_error", "magic_link", ANN, "1")]
    assert [row.status for row in host.rows("email")] == ["failed"]


def test_a_mailed_link_that_another_browser_follows_goes_on_with_the_story(make_secured: MakeSecured) -> None:
    host = make_secured(RECOVERABLE=True, PASSWORDLESS=True)
    host.client.post("/reset", data={"email": ANN})
    reset = host.read_link("/reset/")
    host.client.post("/login", data={"email": ANN})
    login = host.read_link("/login/")
    other = host.app.test_client()
    other.get(login)
    host.app.test_client().post(reset, data={"password": "another password", "password_confirm": "another password"})
    flows = [row.flow_id for row in (*host.rows("email")[:2], *host.rows())]
    assert [(row.event, row.outcome) for row in host.rows()] == [
        ("recovery", "success"),
        ("sign_in", "challenge"),
        ("sign_in", "success"),
        ("password_reset", "success"),
    ]
    assert flows[0] == flows[2] == flows[5] is not None
    assert flows[1] == flows[3] == flows[4] is not None
    assert flows[0] != flows[1]


def test_a_changed_password_is_no_new_sign_in(make_secured: MakeSecured) -> None:
    host = make_secured(CHANGEABLE=True)
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


def test_who_proves_anew_who_they_are_signs_in_once_more(make_secured: MakeSecured) -> None:
    host = make_secured()
    host.sign_in()
    for password in ("wrong password", PASSWORD):
        host.client.post("/verify", data={"password": password})
    assert host.told() == [SIGNED_IN, ("sign_in", "failure", "wrong_password", "password", ANN, "1"), SIGNED_IN]
    assert host.rows()[1].endpoint == "security.verify"


def test_links_instead_of_passwords_are_challenges_until_they_are_followed(make_secured: MakeSecured) -> None:
    host = make_secured(PASSWORDLESS=True)
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


def test_unified_sign_ins_tell_passwords_codes_and_links_apart(make_secured: MakeSecured) -> None:
    host = make_secured(
        UNIFIED_SIGNIN=True, US_ENABLED_METHODS=["password", "email", "sms"], US_MFA_REQUIRED=[], **IDENTITIES
    )
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
