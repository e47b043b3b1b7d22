"""Flask-Mailman with each of its backends and a host's own."""

from __future__ import annotations

import smtplib
from pathlib import Path
from typing import Any, ClassVar

import pytest
from flask import Flask
from flask_mailman import EmailMessage, EmailMultiAlternatives, Mail
from flask_mailman.backends.base import BaseEmailBackend
from flask_mailman.backends.smtp import EmailBackend as SmtpBackend

from melody_logs import LogUnavailable, MelodyLogs
from tests.integrations.mail_hosts import ANN, BOB, make_closed_host, make_mail_host, read_mails
from tests.servers.processes import free_port
from tests.servers.smtp import SmtpServer


class CountingBackend(BaseEmailBackend):
    """A host's own backend, which says only how many it has sent."""

    calls: ClassVar[list[int]] = []
    says: ClassVar[int | None] = None

    def send_messages(self, email_messages: list[Any]) -> int | None:
        """Take them."""
        self.calls.append(len(email_messages))
        return self.says


def make_host(apps: list[Flask], smtp: SmtpServer, **config: Any) -> tuple[Flask, MelodyLogs, Mail]:
    app, logs = make_mail_host(apps, smtp, **{"MAIL_BACKEND": "smtp"} | config)
    return app, logs, Mail(app)


def make_message(*receivers: str, **more: Any) -> EmailMultiAlternatives:
    message = EmailMultiAlternatives("Grüße", "plain", to=list(receivers or [ANN]), **more)
    message.attach_alternative("<p>rich</p>", "text/html")
    message.attach("a.txt", "attached", "text/plain")
    return message


def test_a_message_is_one_row_with_the_servers_answer(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, _ = make_host(apps, smtp_server)
    with app.app_context():
        assert make_message(cc=["cee@example.org"], bcc=[BOB]).send() == 1
    (row,) = read_mails(app)
    assert (row.status, row.provider, row.subject) == ("sent", "smtp", "Grüße")
    assert row.receiver == f"{ANN}, cee@example.org, {BOB}"
    assert (row.content, row.content_type) == ("<p>rich</p>", "text/html")
    assert row.response.startswith("250 2.0.0 Ok: queued as Q")
    assert len(smtp_server.list_mails()) == 1


def test_the_short_ways_of_sending(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server)
    with app.app_context():
        mail.send_mail("one", "plain", None, [ANN], html_message="<p>rich</p>")
        html = EmailMessage("two", "<p>rich</p>", to=[ANN])
        html.content_subtype = "html"
        html.send()
        assert mail.send_mass_mail([("three", "plain", None, [ANN]), ("four", "plain", None, [BOB])]) == 2
    rows = read_mails(app)
    assert [(row.subject, row.content_type, row.receiver) for row in rows] == [
        ("one", "text/html", ANN),
        ("two", "text/html", ANN),
        ("three", "text/plain", ANN),
        ("four", "text/plain", BOB),
    ]
    assert len({row.provider_message_id for row in rows}) == 4
    assert {row.provider for row in rows} == {"smtp"}


def test_several_messages_of_a_call_end_each_in_their_way(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server)
    receivers = (ANN, "spam@example.org", BOB)
    with app.app_context(), mail.get_connection() as backend, pytest.raises(smtplib.SMTPDataError):
        backend.send_messages([make_message(each) for each in receivers])
    with app.app_context(), mail.get_connection(fail_silently=True) as quiet:
        assert quiet.send_messages([make_message(each) for each in receivers]) == 2
    rows = read_mails(app)
    assert [row.status for row in rows] == ["sent", "failed", "failed", "sent", "failed", "sent"]
    assert [row.response for row in rows if row.receiver == "spam@example.org"] == [
        "SMTPDataError: 554 5.7.1 Looks like spam"
    ] * 2


def test_a_server_that_is_not_there(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, _ = make_host(apps, smtp_server, MAIL_PORT=free_port())
    with app.app_context():
        with pytest.raises(ConnectionRefusedError):
            make_message().send()
        assert make_message().send(fail_silently=True) == 0
    first, second = read_mails(app)
    assert (first.status, first.receiver) == ("failed", ANN)
    assert first.response.startswith("ConnectionRefusedError: ")
    assert (second.status, second.response) == ("failed", "the backend says that it sent 0 of 1")


@pytest.mark.parametrize("backend", ["locmem", "console", "dummy", "file", "flask_mailman.backends.locmem"])
def test_what_no_server_gets_is_suppressed(
    apps: list[Flask], smtp_server: SmtpServer, backend: str, tmp_path: Path
) -> None:
    app, _, mail = make_host(apps, smtp_server, MAIL_BACKEND=backend, MAIL_FILE_PATH=str(tmp_path))
    with app.app_context():
        make_message().send()
        mail.get_connection().send_messages([make_message(), make_message(BOB)])
        if "locmem" in backend:
            assert len(mail.outbox) == 3
    rows = read_mails(app)
    assert [(row.status, row.receiver) for row in rows] == [
        ("suppressed", ANN),
        ("suppressed", ANN),
        ("suppressed", BOB),
    ]
    assert backend.rpartition(".")[2] in rows[0].response
    assert smtp_server.list_mails() == []


@pytest.mark.parametrize(
    ("says", "statuses"), [(2, ["sent", "sent"]), (None, ["sent", "sent"]), (1, ["unknown"] * 2), (0, ["failed"] * 2)]
)
def test_a_backend_of_the_hosts_own_is_called_once(
    apps: list[Flask], smtp_server: SmtpServer, says: int | None, statuses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CountingBackend, "calls", [])
    monkeypatch.setattr(CountingBackend, "says", says)
    app, _, mail = make_host(apps, smtp_server, MAIL_BACKEND=CountingBackend)
    with app.app_context():
        backend = mail.get_connection()
        assert type(backend) is CountingBackend
        assert backend.send_messages([make_message(), make_message(BOB)]) == says
    assert CountingBackend.calls == [2]
    assert [row.status for row in read_mails(app)] == statuses


def test_messages_are_given_by_the_backends_own_name(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server, MAIL_BACKEND="locmem")
    with app.app_context():
        backend = mail.get_connection()
        assert backend.send_messages(messages=iter([make_message(), make_message(BOB)])) == 2
        with pytest.raises(TypeError):
            backend.send_messages()
    assert [(row.status, row.receiver) for row in read_mails(app)] == [("suppressed", ANN), ("suppressed", BOB)]


def test_a_connection_made_by_the_host_is_seen_by_the_message(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, _ = make_host(apps, smtp_server)
    with app.app_context(), SmtpBackend() as backend:
        assert make_message(connection=backend).send() == 1
    assert [row.status for row in read_mails(app)] == ["sent"]


def test_a_backend_that_does_not_exist(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, _ = make_host(apps, smtp_server, MAIL_BACKEND="nothing.here")
    with app.app_context(), pytest.raises(RuntimeError, match="Unable to import backend"):
        make_message().send()
    assert [row.status for row in read_mails(app)] == ["failed"]


def test_a_mail_to_nobody_is_no_row(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, mail = make_host(apps, smtp_server)
    with app.app_context():
        nobody = EmailMessage("Nobody", "plain")
        assert nobody.send() == 0
        assert mail.get_connection().send_messages([]) == 0
        assert mail.get_connection().send_messages([nobody, make_message()]) == 1
    assert [(row.status, row.receiver) for row in read_mails(app)] == [("sent", ANN)]


def test_nothing_is_written_while_the_log_is_off(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _, _ = make_host(apps, smtp_server, MELODY_LOGS_ENABLE_EMAIL_LOG=False)
    with app.app_context():
        assert make_message().send() == 1
    assert read_mails(app) == []


def test_nothing_is_sent_that_cannot_be_logged(apps: list[Flask], smtp_server: SmtpServer, tmp_path: Path) -> None:
    app = make_closed_host(apps, tmp_path, smtp_server, MAIL_BACKEND="smtp")
    Mail(app)
    with app.app_context(), pytest.raises(LogUnavailable):
        make_message().send()
    assert smtp_server.list_mails() == []
