"""Every library that sends mail or texts for a host, each as one function: the same message through all of them."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, NamedTuple

import boto3
import flask_mail
import flask_mailing
import flask_mailman
from flask import Flask, Response
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail as SendGridMail

from melody_logs.vocabulary import Kind
from tests.integrations.mail_hosts import ANN, SENDER
from tests.servers.smtp import SmtpServer

PHONE = "+16471231111"
_KEYS = {"region_name": "us-east-1", "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


class Servers(NamedTuple):
    """Where messages go: the mail server, and a server that answers as Amazon and SendGrid do."""

    smtp: SmtpServer
    web: str


class Sender(NamedTuple):
    """How a library is set up on an app, and how it then sends a body."""

    kind: Kind
    prepare: Callable[[Flask, Servers], Callable[[str], Any]]


def make_web_provider() -> Flask:
    """Make an app that takes every message, as SES, SNS and SendGrid answer."""
    app = Flask("provider")
    result = "<{0}Response><{0}Result><MessageId>m-1</MessageId></{0}Result></{0}Response>"

    @app.post("/v3/mail/send")
    def take_mail() -> Response:
        return Response("", 202, {"X-Message-Id": "m-1"})

    @app.post("/v2/email/outbound-emails")
    def take_ses_mail() -> dict[str, str]:
        return {"MessageId": "m-1"}

    @app.post("/")
    def take_query() -> Response:
        from flask import request

        return Response(result.format(request.form["Action"]), content_type="text/xml")

    return app


def _flask_mail(app: Flask, servers: Servers) -> Callable[[str], Any]:
    mail = flask_mail.Mail(app)
    return lambda body: mail.send_message("Code", recipients=[ANN], body=body)


def _flask_mailman(app: Flask, servers: Servers) -> Callable[[str], Any]:
    app.config["MAIL_BACKEND"] = "smtp"
    mail = flask_mailman.Mail(app)
    return lambda body: mail.send_mail("Code", body, None, [ANN])


def _flask_mailing(app: Flask, servers: Servers) -> Callable[[str], Any]:
    app.config.update(MAIL_USERNAME=SENDER, MAIL_PASSWORD="x", MAIL_USE_SSL=False, USE_CREDENTIALS=False)
    mail = flask_mailing.Mail(app)
    return lambda body: asyncio.run(mail.send_mail("Code", body, [ANN]))


def _smtplib(app: Flask, servers: Servers) -> Callable[[str], Any]:
    def send(body: str) -> Any:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = SENDER, ANN, "Code"
        # A code is cut by the soft line ends of this encoding, and stands in no row as it is in the mail.
        message.set_content(body, cte="quoted-printable")
        with smtplib.SMTP(servers.smtp.host, servers.smtp.port) as server:
            return server.send_message(message)

    return send


def _client(service: str, servers: Servers) -> Any:
    return boto3.client(service, endpoint_url=servers.web, **_KEYS)


def _message(body: str) -> dict[str, Any]:
    return {"Subject": {"Data": "Code"}, "Body": {"Text": {"Data": body}}}


def _ses(app: Flask, servers: Servers) -> Callable[[str], Any]:
    client = _client("ses", servers)
    to = {"ToAddresses": [ANN]}
    return lambda body: client.send_email(Source=SENDER, Destination=to, Message=_message(body))["MessageId"]


def _ses_raw(app: Flask, servers: Servers) -> Callable[[str], Any]:
    client = _client("ses", servers)

    def send(body: str) -> Any:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = SENDER, ANN, "Code"
        message.set_content(body, cte="base64")
        return client.send_raw_email(RawMessage={"Data": message.as_bytes()})["MessageId"]

    return send


def _sesv2(app: Flask, servers: Servers) -> Callable[[str], Any]:
    client = _client("sesv2", servers)
    to = {"ToAddresses": [ANN]}

    def send(body: str) -> Any:
        content = {"Simple": _message(body)}
        return client.send_email(FromEmailAddress=SENDER, Destination=to, Content=content)["MessageId"]

    return send


def _sns(app: Flask, servers: Servers) -> Callable[[str], Any]:
    client = _client("sns", servers)
    return lambda body: client.publish(PhoneNumber=PHONE, Message=body)["MessageId"]


def _sendgrid(app: Flask, servers: Servers) -> Callable[[str], Any]:
    client = SendGridAPIClient("key", host=servers.web)
    return lambda body: client.send(SendGridMail(SENDER, ANN, "Code", body)).status_code


SENDERS: dict[str, Sender] = {
    "flask-mail": Sender("email", _flask_mail),
    "flask-mailman": Sender("email", _flask_mailman),
    "flask-mailing": Sender("email", _flask_mailing),
    "smtplib": Sender("email", _smtplib),
    "ses": Sender("email", _ses),
    "ses raw": Sender("email", _ses_raw),
    "sesv2": Sender("email", _sesv2),
    "sns": Sender("sms", _sns),
    "sendgrid": Sender("email", _sendgrid),
}
