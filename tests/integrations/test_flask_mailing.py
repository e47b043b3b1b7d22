"""Flask-Mailing, which sends in a coroutine, against a real SMTP server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_mailing import Mail, Message
from flask_mailing.errors import ConnectionErrors

from melody_logs import LogUnavailable, MelodyLogs
from tests.integrations.mail_hosts import ANN, BOB, make_closed_host, make_mail_host, read_mails
from tests.servers.processes import free_port
from tests.servers.smtp import SmtpServer

CONFIG: dict[str, Any] = {
    "MAIL_USERNAME": "host@example.org",
    "MAIL_PASSWORD": "password",
    "MAIL_USE_SSL": False,
    "USE_CREDENTIALS": False,
}


def make_host(apps: list[Flask], smtp: SmtpServer, **config: Any) -> tuple[Flask, MelodyLogs, Mail]:
    app, logs = make_mail_host(apps, smtp, **CONFIG | config)
    return app, logs, Mail(app)


def make_message(*receivers: str, **more: Any) -> Message:
    return Message(subject="Grüße", recipients=list(receivers or [ANN]), **{"body": "plain"} | more)


def send(app: Flask, mail: Mail, message: Message, template: str | None = None) -> None:
    with app.app_context():
        asyncio.run(mail.send_message(message, template))


def test_a_message_is_one_row_with_the_servers_answer(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server)
    send(app, mail, make_message(ANN, "full@example.org", cc=["cee@example.org"], bcc=[BOB]))
    (row,) = read_mails(app)
    assert (row.status, row.provider, row.subject) == ("sent", "smtp", "Grüße")
    assert row.receiver == f"{ANN}, full@example.org, cee@example.org, {BOB}"
    assert (row.content, row.content_type) == ("plain", "text/plain")
    answer, *refused = row.response.splitlines()
    assert answer.startswith("250 2.0.0 Ok: queued as Q")
    assert refused == ["refused:", "full@example.org: 552 5.2.2 Mailbox full"]
    assert row.provider_message_id == answer.rpartition(" ")[2]
    assert len(smtp_server.list_mails()) == 1


def test_a_view_that_is_a_coroutine(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, logs, mail = make_host(apps, smtp_server)

    async def welcome() -> str:
        with logs.describing(purpose="welcome", secrets=["wT7-Kq4-pass"]):
            await mail.send_mail("one", "", [ANN], html_message="<p>wT7-Kq4-pass</p>")
            await asyncio.gather(*(mail.send_message(make_message(each)) for each in (ANN, BOB)))
        return "sent"

    @app.post("/welcome")
    def view() -> str:
        return asyncio.run(welcome())

    assert app.test_client().post("/welcome").text == "sent"
    first, *others = read_mails(app)
    assert (first.content, first.content_type, first.endpoint) == ("<p>[redacted]</p>", "text/html", "view")
    assert sorted((row.receiver, row.status) for row in others) == [(ANN, "sent"), (BOB, "sent")]
    assert {row.purpose for row in (first, *others)} == {"welcome"}
    assert len({row.provider_message_id for row in (first, *others)}) == 3


def test_a_template_is_in_the_row_as_it_was_rendered(
    apps: list[Flask], smtp_server: SmtpServer, tmp_path: Path
) -> None:
    (tmp_path / "code.html").write_text("<p>It is {{ code }} for {{ name }}.</p>")
    app, logs, mail = make_host(apps, smtp_server, MAIL_TEMPLATE_FOLDER=str(tmp_path))
    message = make_message(body=None, template_body={"code": "wT7-Kq4-pass", "name": "Ann"})
    with logs.describing(secrets=["wT7-Kq4-pass"]):
        send(app, mail, message, "code.html")
    (row,) = read_mails(app)
    assert (row.template, row.content, row.content_type) == (
        "code.html",
        "<p>It is [redacted] for Ann.</p>",
        "text/html",
    )
    assert row.content_bytes > 0


def test_what_is_held_back_is_suppressed(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server, SUPPRESS_SEND=1)
    send(app, mail, make_message())
    assert [(row.status, row.receiver) for row in read_mails(app)] == [("suppressed", ANN)]
    assert smtp_server.list_mails() == []


@pytest.mark.parametrize(
    ("receiver", "response"),
    [
        ("full@example.org", "full@example.org: 552 5.2.2 Mailbox full"),
        ("spam@example.org", "SMTPDataError: 554 5.7.1 Looks like spam"),
        ("drop@example.org", "SMTPServerDisconnected: "),
    ],
)
def test_what_the_server_refuses_is_a_failure(
    apps: list[Flask], smtp_server: SmtpServer, receiver: str, response: str
) -> None:
    app, _, mail = make_host(apps, smtp_server)
    with pytest.raises(Exception, match=r"552|554|EOF|onnection"):
        send(app, mail, make_message(receiver))
    (row,) = read_mails(app)
    assert row.status == "failed"
    assert row.response.startswith(response)


def test_a_server_that_is_not_there_is_a_failure(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server, MAIL_PORT=free_port())
    with pytest.raises(ConnectionErrors):
        send(app, mail, make_message())
    (row,) = read_mails(app)
    assert (row.status, row.provider) == ("failed", "smtp")
    assert row.response.startswith("ConnectionErrors: ")


def test_a_wrong_message_is_refused_as_before(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server)
    with pytest.raises(Exception, match="Message must be a Message"):
        send(app, mail, "words")  # type: ignore[arg-type]
    assert [row.status for row in read_mails(app)] == ["failed"]


def test_nothing_is_written_while_the_log_is_off(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server, MELODY_LOGS_ENABLE_EMAIL_LOG=False)
    send(app, mail, make_message())
    assert read_mails(app) == []
    assert len(smtp_server.list_mails()) == 1


def test_nothing_is_sent_that_cannot_be_logged(apps: list[Flask], smtp_server: SmtpServer, tmp_path: Path) -> None:
    app = make_closed_host(apps, tmp_path, smtp_server, **CONFIG)
    mail = Mail(app)
    with pytest.raises(LogUnavailable):
        send(app, mail, make_message())
    assert smtp_server.list_mails() == []
