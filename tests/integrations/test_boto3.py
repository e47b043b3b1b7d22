"""SES, SESv2 and SNS by boto3, against moto's server and servers that do not answer."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from flask import Flask

from melody_logs import LogUnavailable
from melody_logs.integrations import Boto3
from tests.integrations.mail_hosts import ANN, BOB, SENDER, make_closed_host, make_mail_host, read_mails, read_texts
from tests.servers.processes import Process, free_port

CREDENTIALS = {"region_name": "us-east-1", "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
PROGRAM = Path(sys.executable).with_name("moto_server")
PHONE = "+16471231111"


@pytest.fixture(scope="module")
def moto_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    command = [str(PROGRAM), "-H", "127.0.0.1", "-p", str(port)]
    with Process(command, folder=tmp_path_factory.mktemp("moto"), name="moto") as process:
        process.wait_for_output("Running on")
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def aws(moto_process: str) -> str:
    """The address of a server that stands in for Amazon's, with the sender and some templates."""
    httpx.post(f"{moto_process}/moto-api/reset")
    ses: Any = make_client("ses", moto_process)
    ses.verify_email_identity(EmailAddress=SENDER)
    template = {"TemplateName": "welcome", "SubjectPart": "Hi", "TextPart": "Hi {{name}}", "HtmlPart": "Hi {{name}}"}
    ses.create_template(Template=template)
    return moto_process


def make_client(service: str, address: str, **config: Any) -> Any:
    options = {"retries": {"total_max_attempts": 1}} | config
    return boto3.client(service, endpoint_url=address, config=Config(**options), **CREDENTIALS)


def simple_message() -> dict[str, Any]:
    return {"Subject": {"Data": "Grüße"}, "Body": {"Text": {"Data": "plain"}, "Html": {"Data": "<p>rich</p>"}}}


def raw_message(receiver: str = ANN) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = SENDER, receiver, "Grüße"
    mail.set_content("plain")
    mail.add_attachment(b"attached words", maintype="application", subtype="octet-stream", filename="a.bin")
    return mail.as_bytes()


def send_simple(client: Any, *receivers: str, sender: str = SENDER) -> Any:
    destination = {"ToAddresses": list(receivers or [ANN]), "BccAddresses": [BOB]}
    return client.send_email(Source=sender, Destination=destination, Message=simple_message())


def test_a_mail_is_a_row_with_the_services_id(apps: list[Flask], aws: str) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context():
        answer = send_simple(make_client("ses", aws))
    (row,) = read_mails(app)
    assert (row.status, row.provider, row.subject, row.receiver) == ("sent", "ses", "Grüße", f"{ANN}, {BOB}")
    assert (row.content, row.content_type) == ("<p>rich</p>", "text/html")
    assert row.provider_message_id == answer["MessageId"]
    assert row.response.startswith("200 request ")


def test_a_raw_mail_is_read(apps: list[Flask], aws: str) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context():
        make_client("ses", aws).send_raw_email(Source=SENDER, RawMessage={"Data": raw_message()})
        make_client("ses", aws).send_raw_email(Source=SENDER, Destinations=[BOB], RawMessage={"Data": raw_message()})
        content = {"Raw": {"Data": raw_message()}}
        v2 = make_client("sesv2", aws)
        v2.send_email(FromEmailAddress=SENDER, Destination={"ToAddresses": [BOB]}, Content=content)
    rows = read_mails(app)
    assert [(row.status, row.receiver) for row in rows] == [("sent", ANN), ("sent", BOB), ("sent", BOB)]
    assert {(row.subject, row.content.strip(), row.provider) for row in rows} == {("Grüße", "plain", "ses")}
    assert len({row.provider_message_id for row in rows}) == 3


def test_a_mail_that_cannot_be_read_is_a_row_all_the_same(apps: list[Flask], aws: str) -> None:
    app, _ = make_mail_host(apps)
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2_000))
    mail = f"From: {SENDER}\r\nTo: {ANN}\r\n".encode() + parts
    # The server that stands in for Amazon's cannot read it either, and answers 500.
    with app.app_context(), pytest.raises(ResponseParserError):
        make_client("ses", aws).send_raw_email(Source=SENDER, Destinations=[ANN], RawMessage={"Data": mail})
    (row,) = read_mails(app)
    assert (row.provider, row.status, row.content) == ("ses", "failed", None)


def test_the_second_version_of_the_service(apps: list[Flask], aws: str) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context():
        answer = make_client("sesv2", aws).send_email(
            FromEmailAddress=SENDER, Destination={"ToAddresses": [ANN]}, Content={"Simple": simple_message()}
        )
    (row,) = read_mails(app)
    assert (row.status, row.provider, row.subject, row.receiver) == ("sent", "ses", "Grüße", ANN)
    assert row.provider_message_id == answer["MessageId"]


def test_a_template_has_a_name_and_no_body(apps: list[Flask], aws: str) -> None:
    app, _ = make_mail_host(apps)
    data = json.dumps({"name": "wT7-Kq4-pass"})
    with app.app_context():
        client = make_client("ses", aws)
        destination = {"ToAddresses": [ANN]}
        client.send_templated_email(Source=SENDER, Destination=destination, Template="welcome", TemplateData=data)
        answer = client.send_bulk_templated_email(
            Source=SENDER,
            Template="welcome",
            DefaultTemplateData=data,
            Destinations=[{"Destination": {"ToAddresses": [each]}} for each in (ANN, BOB)],
        )
    rows = read_mails(app)
    assert [(row.status, row.receiver, row.template, row.content) for row in rows] == [
        ("sent", ANN, "welcome", None),
        ("sent", ANN, "welcome", None),
        ("sent", BOB, "welcome", None),
    ]
    assert [row.provider_message_id for row in rows[1:]] == [each["MessageId"] for each in answer["Status"]]
    assert "wT7" not in str(rows)


def test_each_entry_of_a_bulk_call_ends_in_its_way(apps: list[Flask], serve: Callable[[Flask], str]) -> None:
    app, _ = make_mail_host(apps)
    provider = Flask("aws")
    results = [{"Status": "SUCCESS", "MessageId": "m-1"}, {"Status": "MESSAGE_REJECTED", "Error": "not verified"}]
    answers: dict[str, Any] = {
        "/v2/email/outbound-bulk-emails": {"BulkEmailEntryResults": results},
        "/v2/email/outbound-custom-verification-emails": {"MessageId": "m-2"},
    }
    provider.post("/<path:path>")(lambda path: answers[f"/{path}"])
    client = make_client("sesv2", serve(provider))
    with app.app_context():
        client.send_bulk_email(
            FromEmailAddress=SENDER,
            DefaultContent={"Template": {"TemplateName": "welcome"}},
            BulkEmailEntries=[{"Destination": {"ToAddresses": [each]}} for each in (ANN, BOB)],
        )
        client.send_custom_verification_email(EmailAddress=ANN, TemplateName="verify")
    first, second, third = read_mails(app)
    assert (first.status, first.receiver, first.template, first.provider_message_id) == ("sent", ANN, "welcome", "m-1")
    assert (second.status, second.receiver, second.response) == ("failed", BOB, "MESSAGE_REJECTED: not verified")
    assert (third.status, third.receiver, third.template, third.provider_message_id) == ("sent", ANN, "verify", "m-2")


def test_what_the_service_refuses_is_a_failure(apps: list[Flask], aws: str) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context(), pytest.raises(ClientError, match="MessageRejected"):
        send_simple(make_client("ses", aws), sender="stranger@example.net")
    (row,) = read_mails(app)
    assert (row.status, row.receiver, row.provider_message_id) == ("failed", f"{ANN}, {BOB}", None)
    assert row.response.startswith("400 MessageRejected: Email address not verified")


def test_a_throttled_call_is_one_failure(apps: list[Flask], serve: Callable[[Flask], str]) -> None:
    app, _ = make_mail_host(apps)
    provider, calls = Flask("aws"), list[int]()
    error = "<Type>Sender</Type><Code>Throttling</Code><Message>Maximum sending rate exceeded.</Message>"

    @provider.post("/")
    def answer() -> Any:
        calls.append(1)
        return f"<ErrorResponse><Error>{error}</Error></ErrorResponse>", 400, {"Content-Type": "text/xml"}

    client = make_client("ses", serve(provider), retries={"total_max_attempts": 2})
    with app.app_context(), pytest.raises(ClientError, match="Throttling"):
        send_simple(client)
    assert len(calls) == 2
    (row,) = read_mails(app)
    assert (row.status, row.response) == ("failed", "400 Throttling: Maximum sending rate exceeded.")


def test_a_service_that_does_not_answer_is_a_failure(apps: list[Flask]) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context(), socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(EndpointConnectionError):
            send_simple(make_client("ses", f"http://127.0.0.1:{free_port()}"))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ReadTimeoutError):
            make_client("sns", address, read_timeout=0.3).publish(PhoneNumber=PHONE, Message="words")
    (mail,), (text,) = read_mails(app), read_texts(app)
    assert mail.status == text.status == "failed"
    assert mail.response.startswith("EndpointConnectionError: ")
    assert text.response.startswith("ReadTimeoutError: ")


def test_a_wrong_call_is_refused_as_before(apps: list[Flask], aws: str) -> None:
    app, _ = make_mail_host(apps)
    with app.app_context(), pytest.raises(ParamValidationError):
        make_client("ses", aws).send_email(Source=SENDER, Message=7)
    assert [(row.status, row.provider) for row in read_mails(app)] == [("failed", "ses")]


def test_a_text_message_to_a_phone(apps: list[Flask], aws: str) -> None:
    app, _ = make_mail_host(apps)
    client = make_client("sns", aws)
    with app.app_context():
        answer = client.publish(PhoneNumber=PHONE, Message="Your code is 493027")
        topic = client.create_topic(Name="news")["TopicArn"]
        client.publish(TopicArn=topic, Message="no text message")
        with pytest.raises(ClientError):
            client.publish(PhoneNumber="no number", Message="words")
    first, second = read_texts(app)
    assert (first.status, first.provider, first.receiver) == ("sent", "sns", PHONE)
    assert (first.content, first.provider_message_id) == ("Your code is [redacted]", answer["MessageId"])
    assert (second.status, second.receiver) == ("failed", "no number")
    assert "Invalid" in second.response
    assert read_mails(app) == []


def test_clients_of_every_session_are_seen(apps: list[Flask], aws: str) -> None:
    before = make_client("ses", aws)
    app, logs = make_mail_host(apps, MELODY_LOGS_AUTO_INTEGRATE=False)
    logs.use(Boto3())
    bare = botocore.session.get_session()
    bare.set_credentials("testing", "testing")
    clients = [
        before,
        make_client("ses", aws),
        boto3.session.Session(**CREDENTIALS).client("ses", endpoint_url=aws),
        bare.create_client("ses", "us-east-1", endpoint_url=aws),
    ]
    with app.app_context():
        for client in clients:
            send_simple(client)
    assert [row.status for row in read_mails(app)] == ["sent"] * 4


def test_kinds_are_enabled_one_by_one(apps: list[Flask], aws: str) -> None:
    app, _ = make_mail_host(apps, MELODY_LOGS_ENABLE_EMAIL_LOG=False)
    with app.app_context():
        send_simple(make_client("ses", aws))
        make_client("sns", aws).publish(PhoneNumber=PHONE, Message="words")
    assert (len(read_mails(app)), len(read_texts(app))) == (0, 1)


def test_nothing_is_sent_that_cannot_be_logged(apps: list[Flask], tmp_path: Path) -> None:
    app = make_closed_host(apps, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        client = make_client("ses", f"http://127.0.0.1:{listening.getsockname()[1]}")
        with app.app_context(), pytest.raises(LogUnavailable):
            send_simple(client)
        with pytest.raises(TimeoutError):
            listening.accept()
