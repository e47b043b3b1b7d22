"""What FlaskSecurity says of the emails and text messages of Flask-Security, and that no secret in them is stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask_security import SmsSenderFactory
from jinja2 import DictLoader

from melody_logs.state import state_of
from tests.integrations.security_host import ANN, NUMBER, PASSWORD, SecurityHost, TextSender
from tests.servers.processes import free_port

pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
FEATURES = {
    "RECOVERABLE": True,
    "CONFIRMABLE": True,
    "LOGIN_WITHOUT_CONFIRMATION": True,
    "REGISTERABLE": True,
    "USERNAME_ENABLE": True,
    "USERNAME_RECOVERY": True,
    "CHANGE_EMAIL": True,
    "TWO_FACTOR": True,
    "TWO_FACTOR_RESCUE_MAIL": "help@example.org",
}


@pytest.fixture
def host() -> Iterator[SecurityHost]:
    made = SecurityHost(FEATURES)
    yield made
    made.close()


def read_files(host: SecurityHost) -> bytes:
    """Read the files of spool and database as they lie on the disk."""
    state = state_of(host.app)
    paths = [*Path(state.spool.directory).rglob("*"), *Path(str(state.database.url.database)).parent.glob("*")]
    files = [path.read_bytes() for path in paths if path.is_file()]
    assert files
    return b"".join(files)


def test_a_text_with_a_code_is_one_row_without_the_code(host: SecurityHost) -> None:
    host.set_up_second_factor("sms")
    host.sign_in()
    (row,) = host.rows("sms")
    assert (row.status, row.purpose, row.provider, row.receiver, row.user_id) == ("sent", "mfa", "test", NUMBER, "1")
    assert row.content == "Use this code to sign in: [redacted]"
    assert host.read_code().encode() not in read_files(host)


def test_a_provider_that_is_down_is_a_failed_text_and_a_failed_sign_in(host: SecurityHost) -> None:
    host.set_up_second_factor("sms")
    TextSender.is_down = True
    host.sign_in()
    (row,) = host.rows("sms")
    assert (row.status, row.response) == ("failed", "ConnectionRefusedError: the provider is down")
    assert [(entry.outcome, entry.reason) for entry in host.rows()] == [("failure", "provider_error")]


def test_the_dummy_sender_sends_nothing(host: SecurityHost) -> None:
    host.app.config["SECURITY_SMS_SERVICE"] = "Dummy"
    host.set_up_second_factor("sms")
    host.sign_in()
    assert [(row.status, row.provider) for row in host.rows("sms")] == [("suppressed", "dummy")]


def test_twilios_sender_is_recorded_once(host: SecurityHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    host.app.config["SECURITY_SMS_SERVICE"] = "Twilio"
    numbers = {"PHONE_NUMBER": "+16470000000", "ACCOUNT_SID": "AC1", "AUTH_TOKEN": "token of the account"}
    host.app.config["SECURITY_SMS_SERVICE_CONFIG"] = numbers
    host.set_up_second_factor("sms")
    host.sign_in()
    (row,) = host.rows("sms")
    assert (row.status, row.provider, row.receiver) == ("failed", "twilio", NUMBER)
    assert b"token of the account" not in read_files(host)


def test_a_sender_outside_the_app_is_left_alone(host: SecurityHost) -> None:
    host.client.get("/login")
    host.close()
    SmsSenderFactory.createSender("Test").send_sms(from_number="1", to_number=NUMBER, msg="hello")
    assert TextSender.messages == ["hello"]


def test_emails_say_what_they_are_for_and_keep_no_secret(host: SecurityHost) -> None:
    host.set_up_second_factor("email")
    host.client.post("/reset", data={"email": ANN})
    host.client.post("/confirm", data={"email": ANN})
    host.client.post("/recover-username", data={"email": ANN})
    host.sign_in()
    code = host.read_code()
    host.client.post("/tf-rescue", data={"help_setup": "help"})
    host.client.post("/tf-validate", data={"code": code})
    host.client.post("/change-email", data={"email": "ann@example.com"})
    host.client.post("/logout")
    sent = {"password": PASSWORD, "password_confirm": PASSWORD, "username": "bobby"}
    host.client.post("/register", data=sent | {"email": "bob@example.org"})
    rows = host.rows("email")
    assert [(row.purpose, str(row.template).rpartition("/")[2], row.receiver, row.user_id) for row in rows] == [
        ("password_reset", "reset_instructions", ANN, "1"),
        ("verification", "confirmation_instructions", ANN, "1"),
        ("username_recovery", "username_recovery", ANN, "1"),
        ("mfa", "two_factor_instructions", ANN, "1"),
        ("mfa_help", "two_factor_rescue", "help@example.org", "1"),
        ("verification", "change_email_instructions", "ann@example.com", "1"),
        ("verification", "welcome", "bob@example.org", None),
    ]
    stored = read_files(host)
    assert code.encode() not in stored
    links = [
        host.read_link(path, mail) for path, mail in zip(("/reset/", "/confirm/"), host.outbox.messages, strict=False)
    ]
    for link in links:
        assert link.rpartition("/")[2].encode() not in stored
    assert "[redacted]" in rows[0].content


def test_an_email_whose_secrets_cannot_be_read_is_kept_without_its_body(host: SecurityHost) -> None:
    class Unreadable:
        def __str__(self) -> str:
            raise ValueError("no text")

    host.client.get("/login")
    with host.app.test_request_context():
        mail = ("Hello", ANN, "host@example.org", "your own word: hunter", "<p>your own word: hunter</p>")
        host.outbox.send_mail("own", *mail, login_code=Unreadable())
    (row,) = host.rows("email")
    assert (row.receiver, row.content, row.status) == (ANN, None, "sent")
    assert "content:withheld" in row.marks
    assert len(host.outbox.messages) == 1 and b"hunter" not in read_files(host)


def test_a_template_of_the_hosts_own_keeps_its_purpose(host: SecurityHost) -> None:
    host.app.jinja_loader = DictLoader({f"own/again.{kind}": "Here: {{ reset_link }}" for kind in ("txt", "html")})
    host.app.config["SECURITY_EMAIL_TEMPLATE_PASSWORD_RESET"] = "own/again"
    host.client.post("/reset", json={"email": ANN})
    (row,) = host.rows("email")
    assert (row.purpose, row.template) == ("password_reset", "own/again")
    assert row.content == "Here: http://localhost/reset/[redacted]"


def test_without_the_logs_of_messages_their_senders_work_as_before() -> None:
    host = SecurityHost(FEATURES, MELODY_LOGS_ENABLE_EMAIL_LOG=False, MELODY_LOGS_ENABLE_SMS_LOG=False)
    host.set_up_second_factor("sms")
    host.sign_in()
    host.client.post("/tf-validate", data={"code": host.read_code()})
    assert [row.outcome for row in host.rows()] == ["challenge", "success"]
    assert "send_mail" not in vars(host.outbox)
    assert host.rows("sms") == []
    host.close()
