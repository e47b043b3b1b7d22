"""Mail that the host sends by the standard library, against a real SMTP server."""

from __future__ import annotations

import logging
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from logging.handlers import SMTPHandler
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from melody_logs import ConfigurationError, LogUnavailable, MelodyLogs
from melody_logs.integrations import Smtplib
from melody_logs.integrations.smtp import provider_of, tell_answer
from melody_logs.recording.sending import Sending
from melody_logs.state import state_of
from tests.integrations.mail_hosts import ANN, BOB, SENDER, make_closed_host, make_mail_host, read_mails
from tests.servers.smtp import SmtpServer

Refused = smtplib.SMTPRecipientsRefused


def make_mail(receiver: str = ANN, subject: str = "Grüße") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = SENDER, receiver, subject, "<one@example.org>"
    mail.set_content("plain words")
    mail.add_alternative("<p>rich wörds</p>", subtype="html")
    mail.add_attachment(b"attached words", maintype="application", subtype="octet-stream", filename="a.bin")
    return mail


def test_a_mail_is_a_row_with_the_servers_answer(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context(), smtplib.SMTP(smtp_server.host, smtp_server.port) as server:
        assert server.send_message(make_mail()) == {}
    (row,) = read_mails(app)
    assert (row.status, row.receiver, row.subject, row.provider) == ("sent", ANN, "Grüße", "smtp")
    assert (row.content.strip(), row.content_type) == ("<p>rich wörds</p>", "text/html")
    assert row.response.startswith("250 2.0.0 Ok: queued as Q")
    assert row.provider_message_id == row.response.rpartition(" ")[2]
    assert "attached" not in row.content
    (taken,) = smtp_server.list_mails()
    assert taken["Subject"] == "Grüße"


def test_raw_data_goes_to_those_of_the_envelope(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _ = make_mail_host(apps)
    data = make_mail("list@example.org").as_bytes()
    with app.app_context(), smtplib.SMTP(smtp_server.host, smtp_server.port) as server:
        server.sendmail(SENDER, [ANN, BOB], data)
        server.sendmail(SENDER, ANN, "Subject: text\r\n\r\nwords")
    first, second = read_mails(app)
    assert (first.receiver, first.subject, first.content.strip()) == (f"{ANN}, {BOB}", "Grüße", "<p>rich wörds</p>")
    assert (second.receiver, second.subject, second.content.strip()) == (ANN, "text", "words")
    assert second.content_type == "text/plain"


@pytest.mark.parametrize(
    ("answer", "queue_id"),
    [
        (b"2.0.0 Ok: queued as 4VxyZ12AbCz9sW8", "4VxyZ12AbCz9sW8"),
        (b"OK id=1r2AbC-000Def-3G", "1r2AbC-000Def-3G"),
        (b"2.0.0 3BK1abcd012345 Message accepted for delivery", "3BK1abcd012345"),
        (b"2.0.0 OK  1700000000 d2e1a72fcca58-6c3sm123.45 - gsmtp", "d2e1a72fcca58-6c3sm123.45"),
        (b"2.6.0 <a@b.example> [InternalId=1234567, Hostname=X] Queued mail for delivery", "1234567"),
        (b"Ok 0100018f0a1b2c3d-01234567-89ab-cdef-0123-456789abcdef-000000", None),
        (b"Great success", ""),
        (b"OK", ""),
        (b"\xff\xfe", ""),
    ],
)
def test_the_queue_id_stands_in_the_answer(answer: bytes, queue_id: str | None) -> None:
    message = Sending(None)
    tell_answer(message, 250, answer, None)
    told, _ = message.read_result({"provider_message_id": ""})
    assert told["provider_message_id"] == (answer.decode()[3:] if queue_id is None else queue_id)


@pytest.mark.parametrize(
    ("server", "provider"),
    [
        ("email-smtp.eu-west-1.amazonaws.com", "ses"),
        ("smtp.sendgrid.net", "sendgrid"),
        ("SMTP.Postmarkapp.com", "postmark"),
        ("smtp.sendgrid.net.example.org", "smtp"),
        (None, "smtp"),
    ],
)
def test_a_provider_is_known_by_its_server(server: str | None, provider: str) -> None:
    assert provider_of(server) == provider


def test_lmtp_is_seen_too(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context(), smtplib.LMTP(smtp_server.host, smtp_server.lmtp_port) as server:
        server.send_message(make_mail())
    assert [(row.status, row.provider) for row in read_mails(app)] == [("sent", "smtp")]


@pytest.mark.parametrize(
    ("receivers", "sender", "raises", "response"),
    [
        (["full@example.org"], SENDER, Refused, "full@example.org: 552 5.2.2 Mailbox full"),
        (["later@example.org"], SENDER, Refused, "later@example.org: 451 4.7.1 Greylisted"),
        (["spam@example.org"], SENDER, smtplib.SMTPDataError, "SMTPDataError: 554 5.7.1 Looks like spam"),
        (["busy@example.org"], SENDER, smtplib.SMTPDataError, "SMTPDataError: 452 4.3.1 No room"),
        ([ANN], "banned@example.org", smtplib.SMTPSenderRefused, "550 5.7.1 Sender is banned"),
        (["drop@example.org"], SENDER, smtplib.SMTPServerDisconnected, "SMTPServerDisconnected: "),
        (["slow@example.org"], SENDER, smtplib.SMTPServerDisconnected, "closed: timed out"),
    ],
)
@pytest.mark.parametrize("call", ["sendmail", "send_message"])
def test_what_the_server_refuses_is_a_failure(
    apps: list[Flask],
    smtp_server: SmtpServer,
    receivers: list[str],
    sender: str,
    raises: type[Exception],
    response: str,
    call: str,
) -> None:
    app, _ = make_mail_host(apps)
    server = smtplib.SMTP(smtp_server.host, smtp_server.port, timeout=2)
    with app.app_context(), pytest.raises(raises):
        if call == "sendmail":
            server.sendmail(sender, receivers, make_mail().as_bytes())
        else:
            server.send_message(make_mail(), sender, receivers)
    server.close()
    (row,) = read_mails(app)
    assert (row.status, row.receiver) == ("failed", receivers[0])
    assert response in row.response
    assert row.provider_message_id == "one@example.org"


def test_some_receivers_are_refused(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context(), smtplib.SMTP(smtp_server.host, smtp_server.port) as server:
        refused = server.sendmail(SENDER, [ANN, "full@example.org"], b"Subject: s\r\n\r\nwords")
    assert list(refused) == ["full@example.org"]
    (row,) = read_mails(app)
    assert row.status == "sent"
    assert row.response.splitlines()[1:] == ["refused:", "full@example.org: 552 5.2.2 Mailbox full"]


def test_a_connection_that_is_closed_fails(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _ = make_mail_host(apps)
    server = smtplib.SMTP(smtp_server.host, smtp_server.port)
    server.quit()
    with app.app_context(), pytest.raises(smtplib.SMTPServerDisconnected):
        server.send_message(make_mail())
    (row,) = read_mails(app)
    assert (row.status, row.receiver) == ("failed", ANN)
    assert row.response.startswith("SMTPServerDisconnected: please run connect() first")


@pytest.mark.parametrize(
    "mail",
    ["no mail", b"\xff\xfe\x00", b"", b"Content-Type: text/plain; charset=none\r\n\r\nw\xf6rds", b"Subject: =?x?q?y?="],
)
def test_strange_mails_go_on_unchanged(apps: list[Flask], smtp_server: SmtpServer, mail: Any) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context(), smtplib.SMTP(smtp_server.host, smtp_server.port) as server:
        assert server.sendmail(SENDER, [ANN], mail) == {}
    assert [(row.status, row.receiver) for row in read_mails(app)] == [("sent", ANN)]
    assert len(smtp_server.list_envelopes()) == 1


def test_a_wrong_call_raises_what_it_did(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context(), smtplib.SMTP(smtp_server.host, smtp_server.port) as server:
        with pytest.raises(TypeError):
            server.sendmail(SENDER, 7, b"words")  # type: ignore[arg-type]
        with pytest.raises(AttributeError):
            server.send_message("words")  # type: ignore[arg-type]
    assert [row.status for row in read_mails(app)] == ["failed", "failed"]


def test_nothing_is_written_while_the_log_is_off(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, logs = make_mail_host(apps, MELODY_LOGS_ENABLE_EMAIL_LOG=False)
    logs.use(Smtplib())
    with app.app_context(), smtplib.SMTP(smtp_server.host, smtp_server.port) as server:
        server.send_message(make_mail())
    assert read_mails(app) == []
    assert len(smtp_server.list_mails()) == 1


def test_nothing_is_found_when_the_app_says_so(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, logs = make_mail_host(apps, MELODY_LOGS_AUTO_INTEGRATE=False)
    with app.app_context(), smtplib.SMTP(smtp_server.host, smtp_server.port) as server:
        server.send_message(make_mail())
        logs.use(Smtplib())
        server.send_message(make_mail())
    assert len(read_mails(app)) == 1
    with pytest.raises(ConfigurationError, match="smtplib"):
        logs.use(Smtplib())


def test_a_view_may_import_it_late_and_a_thread_needs_no_context(smtp_server: SmtpServer) -> None:
    code = """
import sys, threading
from tests.hosts import make_host, close_host
from tests.integrations.mail_hosts import read_mails

before = "smtplib" in sys.modules
app, _ = make_host()

@app.post("/")
def send():
    import smtplib
    with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as server:
        server.sendmail("host@example.org", ["ann@example.org"], b"Subject: s")
    return "sent"

assert app.test_client().post("/").text == "sent"
thread = threading.Thread(target=send)
thread.start()
thread.join()
print(before, [(row.status, row.receiver) for row in read_mails(app)])
close_host(app)
"""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(smtp_server.port)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.stdout == "False [('sent', 'ann@example.org'), ('sent', 'ann@example.org')]\n", done.stderr


def test_each_app_has_its_own_mail(apps: list[Flask], smtp_server: SmtpServer) -> None:
    first, logs = make_mail_host(apps)
    second, _ = make_mail_host(apps, logs=logs)
    other = Flask("without logs")
    for app, subject in ((first, "one"), (second, "two"), (other, "three")):
        with app.app_context(), smtplib.SMTP(smtp_server.host, smtp_server.port) as server:
            server.send_message(make_mail(subject=subject))
    assert [row.subject for row in read_mails(first)] == ["one"]
    assert [row.subject for row in read_mails(second)] == ["two"]
    assert len(smtp_server.list_mails()) == 3


def test_nothing_is_sent_that_cannot_be_logged(apps: list[Flask], smtp_server: SmtpServer, tmp_path: Path) -> None:
    app = make_closed_host(apps, tmp_path)
    with (
        app.app_context(),
        smtplib.SMTP(smtp_server.host, smtp_server.port) as server,
        pytest.raises(LogUnavailable),
    ):
        server.send_message(make_mail())
    assert smtp_server.list_mails() == []


def test_the_hosts_own_block_is_the_row(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, logs = make_mail_host(apps)
    with (
        app.app_context(),
        logs.sending_email(receiver=ANN, subject="said", purpose="sign_in_code"),
        smtplib.SMTP(smtp_server.host, smtp_server.port) as server,
    ):
        server.send_message(make_mail(subject="seen"))
    (row,) = read_mails(app)
    assert (row.subject, row.purpose, row.provider, row.status) == ("said", "sign_in_code", "smtp", "sent")
    assert row.provider_message_id.startswith("Q")


def test_the_hosts_error_mails_do_not_run_in_a_circle(apps: list[Flask], smtp_server: SmtpServer) -> None:
    app, logs = make_mail_host(apps)

    @logs.transform
    def fail(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("the host's own fault")

    handler = SMTPHandler((smtp_server.host, smtp_server.port), SENDER, [ANN], "error")
    logger = logging.getLogger("melody_logs")
    logger.addHandler(handler)
    try:
        with app.app_context(), smtplib.SMTP(smtp_server.host, smtp_server.port) as server:
            server.send_message(make_mail())
    finally:
        logger.removeHandler(handler)
    assert sorted(row.subject for row in read_mails(app)) == ["Grüße", "error"]


def test_logs_of_a_second_object_are_apart(apps: list[Flask], smtp_server: SmtpServer) -> None:
    first, _ = make_mail_host(apps)
    second, _ = make_mail_host(apps, logs=MelodyLogs())
    with smtplib.SMTP(smtp_server.host, smtp_server.port) as server:
        # Two apps, and no context that says which is meant.
        server.send_message(make_mail())
    assert (read_mails(first), read_mails(second)) == ([], [])
    assert {"smtplib"} <= state_of(first).integrations.keys() & state_of(second).integrations.keys()
