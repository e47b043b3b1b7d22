"""How the demo host sends: mail by SMTP, text messages by an HTTP provider; both are recorded in two phases."""

from __future__ import annotations

import email.policy
import json
import smtplib
import urllib.error
import urllib.request
from collections.abc import Sequence
from email.message import EmailMessage
from http import HTTPStatus
from typing import Any

from flask import current_app, render_template

from .accounts import User
from .configuration import DemoConfiguration
from .loopback import open_loopback
from .recording import logs

SENDER = "Demo <no-reply@example.org>"
TIMEOUT_SECONDS = 5
#: SMTP's answer when all is well (RFC 5321, section 4.2.3).
OK = 250


class DeliveryError(Exception):
    """A message could not be handed over; the text is the provider's answer."""


def _configuration() -> DemoConfiguration:
    configuration: DemoConfiguration = current_app.extensions["melody_demo"]
    return configuration


def send_email(user: User, *, subject: str, template: str, secrets: Sequence[str], **values: Any) -> None:
    """Render the template pair ``mail/NAME.txt`` and ``.html`` and hand the mail to the SMTP server.

    :raise DeliveryError: if the server is not there or refuses it.
    """
    text, html = (render_template(f"mail/{template}.{kind}", subject=subject, **values) for kind in ("txt", "html"))
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, user.email, subject
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    try:
        with (
            logs.sending_email(
                receiver=user.email,
                subject=subject,
                content=html,
                content_type="text/html",
                purpose=template,
                template=f"mail/{template}.html",
                provider="smtp",
                user_id=user.id,
                secrets=secrets,
            ) as sending,
            smtplib.SMTP("127.0.0.1", _configuration().smtp_port, timeout=TIMEOUT_SECONDS) as server,
        ):
            code, answer = _hand_over(server, message, user.email)
            (sending.sent if code == OK else sending.failed)(answer)
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(str(error)) from error
    if code != OK:
        raise DeliveryError(answer)


def _hand_over(server: smtplib.SMTP, message: EmailMessage, receiver: str) -> tuple[int, str]:
    """Do what ``send_message`` does, and return the server's answer, which that keeps to itself."""
    server.ehlo()
    server.mail("no-reply@example.org")
    code, answer = server.rcpt(receiver)
    if code == OK:
        code, answer = server.data(message.as_bytes(policy=email.policy.SMTP))
    return code, f"{code} {answer.decode('utf-8', 'replace')}"


def send_text(user: User, content: str, *, purpose: str, secrets: Sequence[str], flow_id: str) -> None:
    """Hand a text message for the phone of *user* to the provider.

    :raise DeliveryError: if the provider is not there or refuses it.
    """
    try:
        with logs.sending_sms(
            receiver=user.phone,
            content=content,
            purpose=purpose,
            provider="demo-texts",
            user_id=user.id,
            flow_id=flow_id,
            secrets=secrets,
        ) as sending:
            status, answer = _post_text({"to": user.phone or "", "body": content})
            if status == HTTPStatus.CREATED:
                sending.sent(answer, provider_message_id=json.loads(answer)["id"])
            else:
                sending.failed(f"{status} {answer}")
    except OSError as error:
        raise DeliveryError(str(error)) from error
    if status != HTTPStatus.CREATED:
        raise DeliveryError(answer)


def _post_text(message: dict[str, str]) -> tuple[int, str]:
    configuration = _configuration()
    request = urllib.request.Request(
        f"http://127.0.0.1:{configuration.provider_port}/messages",
        data=json.dumps(message).encode(),
        headers={"Authorization": f"Bearer {configuration.provider_key}", "Content-Type": "application/json"},
    )
    try:
        with open_loopback(request, timeout_seconds=TIMEOUT_SECONDS) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8", "replace")


def list_received() -> list[dict[str, Any]]:
    """What the catcher has received, newest first: an inbox for everybody of the demo.

    :raise DeliveryError: if the catcher is not there.
    """
    try:
        return fetch_received(_configuration())
    except OSError as error:
        raise DeliveryError(str(error)) from error


def fetch_received(configuration: DemoConfiguration) -> list[dict[str, Any]]:
    """Ask the catcher of a demo for what it has received, newest first; needs no app context.

    :raise OSError: if it is not there.
    """
    request = urllib.request.Request(
        f"http://127.0.0.1:{configuration.provider_port}/messages",
        headers={"Authorization": f"Bearer {configuration.provider_key}"},
    )
    with open_loopback(request, timeout_seconds=TIMEOUT_SECONDS) as response:
        messages: list[dict[str, Any]] = json.load(response)["messages"]
        return messages
