"""examples/flask_security_app.py, tried as a new user would."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from melody_logs.demo.catcher import Catcher
from tests.integrations.examples import Example
from tests.servers.processes import free_port

ANN = "ann@example.org"
PASSWORD = "correct horse"

pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")


@pytest.fixture
def catcher() -> Iterator[tuple[Catcher, int]]:
    """The mail server, and its port."""
    server = Catcher("key")
    port, _ = server.start()
    yield server, port
    server.stop()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, serve: Callable[[Flask], str]) -> Iterator[Callable[[int], Example]]:
    """A function that starts the example with a mail server at a port."""
    monkeypatch.setenv("FLASK_MAIL_BACKEND", "smtp")
    monkeypatch.setenv("FLASK_MAIL_SERVER", "127.0.0.1")
    made = []

    def start_one(mail_port: int) -> Example:
        monkeypatch.setenv("FLASK_MAIL_PORT", str(mail_port))
        made.append(Example("flask_security_app", serve))
        return made[-1]

    yield start_one
    for example in made:
        with example.app.app_context():
            example.names["db"].session.remove()
            example.names["db"].engine.dispose()
        example.close()


def sign_in(example: Example, password: str = PASSWORD, name: str = "ann") -> Any:
    return example.post_form("/login", email=f"{name}@example.org", password=password)


def test_every_step_of_a_sign_in_is_one_row_with_its_reason(
    start: Callable[[int], Example], catcher: tuple[Catcher, int]
) -> None:
    example = start(catcher[1])
    for name, password in (("nobody", PASSWORD), ("ann", "wrong horse"), ("bob", PASSWORD), ("cleo", PASSWORD)):
        sign_in(example, password, name)
    sign_in(example)
    (code,) = re.findall(r"\b\d{6}\b", catcher[0].list_messages()[0]["text"])
    for tried in ("", "000000", code):
        example.post_form("/tf-validate", code=tried)
    assert "Locked account" in example.visitor.get("/admin/logs/sign-in").text
    example.visitor.post("/logout")
    assert example.told() == [
        ("sign_in", "failure", "unknown_account", "password", "nobody@example.org"),
        ("sign_in", "failure", "wrong_password", "password", ANN),
        ("sign_in", "failure", "locked_account", "password", "bob@example.org"),
        ("sign_in", "failure", "inactive_account", "password", "cleo@example.org"),
        ("sign_in", "challenge", None, "password", ANN),
        ("sign_in", "failure", "missing_code", "email_code", ANN),
        ("sign_in", "failure", "wrong_code", "email_code", ANN),
        ("sign_in", "success", None, "email_code", ANN),
        ("sign_out", "success", None, None, ANN),
    ]
    (mail,) = example.rows("email")
    assert (mail.purpose, mail.status, mail.receiver) == ("mfa", "sent", ANN)
    assert "[redacted]" in mail.content
    # One story: the mail with the code, and from the right password on each try of it.
    story = {row.flow_id for row in example.rows("sign-in")[4:8]}
    assert story == {mail.flow_id} != {None}
    stored = example.read_files()
    assert all(secret not in stored for secret in (code.encode(), PASSWORD.encode(), b"wrong horse"))


def test_a_reset_by_mail_is_recorded_and_its_link_is_not(
    start: Callable[[int], Example], catcher: tuple[Catcher, int]
) -> None:
    example = start(catcher[1])
    for name in ("nobody", "ann"):
        example.post_form("/reset", email=f"{name}@example.org")
    (link,) = set(re.findall(r"http://[^/\s]+(/reset/[^\s\"<]+)", catcher[0].list_messages()[0]["text"]))
    example.post_form(link, password="another horse", password_confirm="another horse")
    example.visitor.get(link)
    assert example.told() == [
        ("recovery", "failure", "unknown_account", "magic_link", "nobody@example.org"),
        ("recovery", "success", None, "magic_link", ANN),
        ("password_reset", "success", None, "magic_link", ANN),
        ("password_reset", "failure", "expired_code", "magic_link", None),
    ]
    mails = [(row.purpose, row.status, row.receiver) for row in example.rows("email")]
    assert mails[0] == ("password_reset", "sent", ANN)
    assert example.rows("email")[0].flow_id == example.rows("sign-in")[2].flow_id is not None
    assert link.rpartition("/")[2].encode() not in example.read_files()


def test_a_mail_server_that_is_down_is_the_reason_of_the_failure(start: Callable[[int], Example]) -> None:
    example = start(free_port())
    sign_in(example)
    assert example.told() == [("sign_in", "failure", "provider_error", "password", ANN)]
    (mail,) = example.rows("email")
    assert (mail.purpose, mail.status) == ("mfa", "failed")
    assert "refused" in mail.response
