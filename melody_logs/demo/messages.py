"""How the demo host sends: mail by SMTP, text messages by an HTTP provider; both are recorded in two phases."""

from __future__ import annotations

import email.policy
import json
import smtplib
import urllib.error
import urllib.request
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

from flask import current_app, render_template

from .accounts import User
from .configuration import DemoConfiguration
from .loopback import open_loopback
from .recording import logs

SENDER = "Demo <no-reply@example.org>"
TIMEOUT_SECONDS = 5


class DeliveryError(Exception):
    """A message could not be handed over; the text is the provider's answer."""


def _configuration() -> DemoConfiguration:
    configuration: DemoConfiguration = current_app.extensions["melody_demo"]
    return configuration


def send_email(user: User, *, subject: str, template: str, secrets: Sequence[str], **values: Any) -> None:
    """Render the template pair ``mail/NAME.txt`` and ``.html`` and hand the mail to the SMTP server.

    :raise DeliveryError: if the server is not there or refuses it.
    """
    receiver = user.email
    text, html = (render_template(f"mail/{template}.{kind}", subject=subject, **values) for kind in ("txt", "html"))
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, receiver, subject
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    try:
        with (
            logs.sending_email(
                receiver=receiver,
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
            sending.sent(_hand_over(server, message, receiver))
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(str(error)) from error


def _hand_over(server: smtplib.SMTP, message: EmailMessage, receiver: str) -> str:
    """Do what ``send_message`` does, and return the server's answer, which that keeps to itself."""
    server.ehlo()
    server.mail("no-reply@example.org")
    code, answer = server.rcpt(receiver)
    if code != 250:
        raise smtplib.SMTPRecipientsRefused({receiver: (code, answer)})
    code, answer = server.data(message.as_bytes(policy=email.policy.SMTP))
    if code != 250:
        raise smtplib.SMTPDataError(code, answer)
    return f"{code} {answer.decode('utf-8', 'replace')}"


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
            answer = _post_text({"to": user.phone or "", "body": content})
            sending.sent(answer, provider_message_id=json.loads(answer)["id"])
    except OSError as error:
        raise DeliveryError(str(error)) from error


def _post_text(message: dict[str, str]) -> str:
    configuration = _configuration()
    request = urllib.request.Request(
        f"http://127.0.0.1:{configuration.provider_port}/messages",
        data=json.dumps(message).encode(),
        headers={"Authorization": f"Bearer {configuration.provider_key}", "Content-Type": "application/json"},
    )
    try:
        with open_loopback(request, timeout_seconds=TIMEOUT_SECONDS) as response:
            text: str = response.read().decode()
            return text
    except urllib.error.HTTPError as error:
        with error:
            answer = error.read().decode("utf-8", "replace")
        raise DeliveryError(f"{error.code} {answer}") from error


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
