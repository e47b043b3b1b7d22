"""Flask-Mail against a real SMTP server, and as its users write it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from flask import Flask, request
from flask_mail import Attachment, BadHeaderError, Mail, Message, email_dispatched

from melody_logs import LogUnavailable, MelodyLogs
from melody_logs.integrations import FlaskMail
from tests.integrations.mail_hosts import ANN, BOB, SENDER, make_closed_host, make_mail_host, read_mails
from tests.servers.processes import free_port
from tests.servers.smtp import SmtpServer


def make_host(apps: list[Flask], smtp: SmtpServer, **config: Any) -> tuple[Flask, MelodyLogs, Mail]:
    # As factories do: the extension comes after the logs.
    app, logs = make_mail_host(apps, smtp, **config)
    return app, logs, Mail(app)


def make_message(*receivers: str, **more: Any) -> Message:
    return Message("Grüße", recipients=list(receivers or [ANN]), body="plain", html="<p>rich</p>", **more)


def test_a_message_is_one_row_with_the_servers_answer(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server)
    with app.app_context():
        mail.send(
            make_message(cc=["Cee <cee@example.org>"], bcc=[BOB], attachments=[Attachment("a.txt", data="attached")])
        )
    (row,) = read_mails(app)
    assert (row.status, row.provider, row.subject) == ("sent", "smtp", "Grüße")
    assert row.receiver == f"{ANN}, cee@example.org, {BOB}"
    assert (row.content, row.content_type) == ("<p>rich</p>", "text/html")
    assert row.response.startswith("250 2.0.0 Ok: queued as Q")
    assert row.provider_message_id == row.response.rpartition(" ")[2]
    assert len(smtp_server.list_mails()) == 1


def test_send_message_and_plain_text(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server)
    with app.app_context():
        mail.send_message("Hello", recipients=[("Ann, the first", ANN)], body="plain")
    (row,) = read_mails(app)
    assert (row.receiver, row.content, row.content_type) == (ANN, "plain", "text/plain")


def test_each_message_of_a_connection_is_a_row(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server, MAIL_MAX_EMAILS=2)
    with app.app_context(), mail.connect() as connection:
        connection.send(make_message(ANN))
        connection.send_message("second", recipients=[BOB], body="plain")
        with pytest.raises(Exception, match="552"):
            connection.send(make_message("full@example.org"))
        connection.send(make_message(BOB))
    rows = read_mails(app)
    assert [(row.status, row.receiver) for row in rows] == [
        ("sent", ANN),
        ("sent", BOB),
        ("failed", "full@example.org"),
        ("sent", BOB),
    ]
    assert len({row.provider_message_id for row in rows}) == 4
    assert "full@example.org: 552 5.2.2 Mailbox full" in rows[2].response


@pytest.mark.parametrize("config", [{"TESTING": True, "MAIL_SUPPRESS_SEND": True}, {"MAIL_SUPPRESS_SEND": True}])
def test_what_is_held_back_is_suppressed(apps: list[Flask], smtp_server: SmtpServer, config: dict[str, Any]) -> None:
    app, _, mail = make_host(apps, smtp_server, **config)
    with app.app_context(), mail.record_messages() as outbox:
        mail.send(make_message())
        with mail.connect() as connection:
            connection.send(make_message(BOB))
    assert [message.recipients for message in outbox] == [[ANN], [BOB]]
    assert [(row.status, row.receiver) for row in read_mails(app)] == [("suppressed", ANN), ("suppressed", BOB)]
    assert smtp_server.list_mails() == []


def test_a_server_that_is_not_there_is_a_failure(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server, MAIL_PORT=free_port())
    with app.app_context(), pytest.raises(ConnectionRefusedError):
        mail.send(make_message())
    (row,) = read_mails(app)
    assert (row.status, row.receiver, row.provider) == ("failed", ANN, "smtp")
    assert row.response.startswith("ConnectionRefusedError: ")


def test_a_message_that_the_library_refuses_is_a_failure(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server)
    with app.app_context():
        with pytest.raises(BadHeaderError):
            mail.send(make_message(sender="a\r\nb@example.org"))
        with pytest.raises(AssertionError, match="No recipients"):
            mail.send(Message("nobody", body="plain"))
    assert [(row.status, row.receiver or None) for row in read_mails(app)] == [("failed", ANN), ("failed", None)]


def test_a_receiver_of_the_host_that_fails_undoes_no_mail(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server)

    def fail(sender: Any, message: Any) -> None:
        raise RuntimeError("the host's own fault")

    with email_dispatched.connected_to(fail), app.app_context(), pytest.raises(RuntimeError):
        mail.send(make_message())
    assert [row.status for row in read_mails(app)] == ["sent"]


def test_a_thread_with_the_app_keeps_what_was_said(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, logs, mail = make_host(apps, smtp_server)
    code = "wT7-Kq4-pass"

    def send_async(message: Message) -> None:
        with app.app_context():
            mail.send(message)

    @app.post("/reset")
    def reset() -> str:
        with logs.describing(purpose="password_reset", user_id=7, secrets=[code]):
            message = Message("Reset", recipients=[request.form["email"]], body=f"It is {code}.")
        thread = threading.Thread(target=send_async, args=[message])
        thread.start()
        thread.join()
        return "sent"

    assert app.test_client().post("/reset", data={"email": ANN}).text == "sent"
    (row,) = read_mails(app)
    assert (row.status, row.purpose, row.user_id, row.content) == ("sent", "password_reset", "7", "It is [redacted].")


def test_a_celery_task_is_seen(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server)
    celery = Celery("host", broker="memory://", backend="cache+memory://")
    celery.conf.task_always_eager = True

    @celery.task(name="send")
    def send(receiver: str) -> None:
        with app.app_context():
            mail.send(make_message(receiver))

    send.delay(ANN).get()
    assert [(row.status, row.receiver, row.endpoint) for row in read_mails(app)] == [("sent", ANN, None)]


def test_without_smtplib_the_answer_is_known_all_the_same(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, logs, mail = make_host(apps, smtp_server, MELODY_LOGS_AUTO_INTEGRATE=False)
    logs.use(FlaskMail())
    with app.app_context():
        mail.send(make_message())
    (row,) = read_mails(app)
    assert row.provider_message_id.startswith("Q")


def test_nothing_is_written_while_the_log_is_off(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server, MELODY_LOGS_ENABLE_EMAIL_LOG=False)
    with app.app_context():
        mail.send(make_message())
    assert read_mails(app) == []
    assert len(smtp_server.list_mails()) == 1


def test_nothing_is_sent_that_cannot_be_logged(apps: list[Flask], smtp_server: SmtpServer, tmp_path: Path) -> None:
    app = make_closed_host(apps, tmp_path, smtp_server)
    mail = Mail(app)
    with app.app_context(), pytest.raises(LogUnavailable):
        mail.send(make_message())
    assert smtp_server.list_mails() == []


def test_what_the_host_excludes_is_no_row_of_the_library_beneath(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, logs, mail = make_host(apps, smtp_server)
    logs.exclude(lambda kind, fields: fields.get("subject") == "Grüße")
    with app.app_context():
        mail.send(make_message())
        mail.send_message("kept", sender=SENDER, recipients=[BOB], body="plain")
    assert [row.subject for row in read_mails(app)] == ["kept"]
    assert len(smtp_server.list_mails()) == 2
