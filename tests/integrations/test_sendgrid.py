"""SendGrid's library against a local server that answers as the provider's documentation says."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Bcc, Mail, MailSettings, Personalization, SandBoxMode, To

from melody_logs import LogUnavailable
from tests.integrations.mail_hosts import ANN, BOB, SENDER, make_closed_host, make_mail_host, read_mails
from tests.servers.processes import free_port

ANSWERS: dict[str, tuple[int, Any]] = {
    "key-wrong": (401, {"errors": [{"message": "The provided authorization grant is invalid", "field": None}]}),
    "key-busy": (429, {"errors": [{"message": "too many requests", "field": None}]}),
    "key-down": (503, {"errors": [{"message": "try again later", "field": None}]}),
}


@pytest.fixture
def provider(serve: Callable[[Flask], str]) -> Iterator[str]:
    """The address of a server that stands in for SendGrid's."""
    app = Flask("sendgrid")

    @app.post("/v3/mail/send")
    def send() -> Any:
        key = request.headers["Authorization"].removeprefix("Bearer ")
        if key == "key-slow":
            time.sleep(3)
        status, body = ANSWERS.get(key, (202, ""))
        if request.get_json().get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
            status = 200
        return (body, status) if body else Response("", status, {"X-Message-Id": "14c5d75ce93.dfd.64b469"})

    @app.get("/v3/api_keys")
    def keys() -> Any:
        return {"result": []}

    yield serve(app)


def make_client(address: str, key: str = "key-right") -> SendGridAPIClient:
    return SendGridAPIClient(key, host=address)


def make_mail(*receivers: str) -> Mail:
    return Mail(SENDER, [To(each) for each in receivers or [ANN]], "Grüße", "plain", "<p>rich</p>")


def test_a_mail_is_one_row_with_the_providers_id(apps: list[Flask], provider: str) -> None:
    app, _ = make_mail_host(apps)
    client = make_client(provider)
    with app.app_context():
        assert client.send(make_mail(ANN, BOB)).status_code == 202
        assert client.client.mail.send.post(request_body=make_mail().get()).status_code == 202
    first, second = read_mails(app)
    assert (first.status, first.provider, first.subject) == ("sent", "sendgrid", "Grüße")
    assert (first.receiver, first.content, first.content_type) == (f"{ANN}, {BOB}", "<p>rich</p>", "text/html")
    assert (first.provider_message_id, first.response) == ("14c5d75ce93.dfd.64b469", "202 ACCEPTED")
    assert (second.status, second.receiver) == ("sent", ANN)


def test_each_personalization_is_a_row(apps: list[Flask], provider: str) -> None:
    app, _ = make_mail_host(apps)
    mail = Mail(SENDER)
    mail.subject, mail.template_id = "common", "d-0123"
    for receiver, subject in ((ANN, "own"), (BOB, None)):
        each = Personalization()
        each.add_to(To(receiver, "A name"))
        each.add_bcc(Bcc("archive@example.org"))
        each.dynamic_template_data = {"code": "wT7-Kq4-pass"}
        if subject:
            each.subject = subject
        mail.add_personalization(each)
    with app.app_context():
        make_client(provider).send(mail)
    rows = sorted(read_mails(app), key=lambda row: str(row.receiver))
    assert [(row.receiver, row.subject, row.template, row.content) for row in rows] == [
        (f"{ANN}, archive@example.org", "own", "d-0123", None),
        (f"{BOB}, archive@example.org", "common", "d-0123", None),
    ]


def test_the_sandbox_is_suppressed(apps: list[Flask], provider: str) -> None:
    app, _ = make_mail_host(apps)
    mail = make_mail()
    mail.mail_settings = MailSettings(sandbox_mode=SandBoxMode(True))
    with app.app_context():
        make_client(provider).send(mail)
    assert [(row.status, row.response) for row in read_mails(app)] == [("suppressed", "200: the sandbox mode is on")]


@pytest.mark.parametrize("key", ANSWERS)
def test_what_the_provider_refuses_is_a_failure(apps: list[Flask], provider: str, key: str) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context(), pytest.raises(HTTPError) as raised:
        make_client(provider, key).send(make_mail())
    status, body = ANSWERS[key]
    assert raised.value.status_code == status
    assert raised.value.to_dict == body
    (row,) = read_mails(app)
    assert (row.status, row.receiver, row.provider) == ("failed", ANN, "sendgrid")
    assert row.response.startswith(f"{status} ")
    assert body["errors"][0]["message"] in row.response
    assert key not in str(row)


def test_a_provider_that_does_not_answer_is_a_failure(apps: list[Flask], provider: str) -> None:
    app, _ = make_mail_host(apps)
    slow, away = make_client(provider, "key-slow"), make_client(f"http://127.0.0.1:{free_port()}")
    with app.app_context():
        with pytest.raises(TimeoutError):
            slow.client.mail.send.post(request_body=make_mail().get(), timeout=0.3)
        with pytest.raises(OSError, match="refused"):
            away.send(make_mail(BOB))
    first, second = read_mails(app)
    assert (first.status, first.response) == ("failed", "TimeoutError: timed out")
    assert second.status == "failed"
    assert second.response.startswith("URLError: ")


def test_other_calls_are_none_of_ours(apps: list[Flask], provider: str) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context():
        assert make_client(provider).client.api_keys.get().status_code == 200
    assert read_mails(app) == []


@pytest.mark.parametrize("body", [{}, {"personalizations": [{"to": ["x"]}]}, {"personalizations": 7}, {"content": [1]}])
def test_strange_bodies_go_on_unchanged(apps: list[Flask], provider: str, body: dict[str, Any]) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context():
        assert make_client(provider).client.mail.send.post(request_body=body).status_code == 202
    assert [(row.status, row.provider) for row in read_mails(app)] == [("sent", "sendgrid")]


def test_nothing_is_written_while_the_log_is_off(apps: list[Flask], provider: str) -> None:
    app, _ = make_mail_host(apps, MELODY_LOGS_ENABLE_EMAIL_LOG=False)
    with app.app_context():
        make_client(provider).send(make_mail())
    assert read_mails(app) == []


def test_nothing_is_sent_that_cannot_be_logged(apps: list[Flask], tmp_path: Path) -> None:
    app = make_closed_host(apps, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        client = make_client(f"http://127.0.0.1:{listening.getsockname()[1]}")
        with app.app_context(), pytest.raises(LogUnavailable):
            client.send(make_mail())
        with pytest.raises(TimeoutError):
            listening.accept()
