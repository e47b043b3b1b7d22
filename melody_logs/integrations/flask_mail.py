"""Mail through Flask-Mail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from flask import Flask, current_app

from ..recording.guard import guarded
from ..recording.outgoing import outgoing, recall_description
from ..recording.receivers import list_addresses
from ..recording.sending import Sending
from ..state import State
from .integration import Integration, recorder_for
from .mime import choose_body, read_message_id
from .smtp import provider_of, wrap_smtplib
from .wrapping import remember_making, wrap_once


class FlaskMail(Integration):
    """Records mail that goes through Flask-Mail: ``send``, ``send_message`` and what is sent on a connection.

    Each message is a row: sent with the server's answer and queue id, failed also where there is no connection, or
    suppressed where ``TESTING`` or ``MAIL_SUPPRESS_SEND`` keeps it back. What ``logs.describing()`` says when a message
    is made goes with it into the thread that sends it.
    """

    name: ClassVar[str] = "flask-mail"
    distribution: ClassVar[str] = "flask-mail"
    module: ClassVar[str] = "flask_mail"
    extra: ClassVar[str | None] = "flask-mail"
    least_version: ClassVar[tuple[int, ...]] = (0, 10)
    records: ClassVar[str] = "email"

    def connect(self, app: Flask, state: State) -> None:
        """Wrap the library's functions, once a process."""
        import flask_mail

        wrap_smtplib()
        wrap_once(flask_mail.Message, "__init__", remember_making)
        # A connection is opened before Connection.send is called, so a server that is not there is seen outside it.
        wrap_once(flask_mail._MailMixin, "send", _wrap_send)
        wrap_once(flask_mail.Connection, "send", _wrap_send)


def _wrap_send(original: Callable[..., Any]) -> Callable[..., Any]:
    def send(self: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_for("flask-mail", "email")
        if recorder is None:
            return original(self, message, *args, **kwargs)
        with outgoing(recorder, "email", _read_message(message) or {}) as row:
            result = original(self, message, *args, **kwargs)
            _tell_suppressed(row, self)
            return result

    return send


@guarded
def _read_message(message: Any) -> dict[str, Any]:
    return {
        "receiver": list_addresses(message.recipients, message.cc, message.bcc),
        "subject": message.subject,
        "provider": provider_of(getattr(current_app.extensions.get("mail"), "server", None)),
        "provider_message_id": read_message_id(message.msgId),
        **choose_body(message.body, message.html),
        **(recall_description(message) or {}),
    }


@guarded
def _tell_suppressed(row: Sending, sender: Any) -> None:
    # A connection has a ``mail``; Mail itself hands on what the app's settings say.
    if getattr(getattr(sender, "mail", None) or current_app.extensions.get("mail"), "suppress", False):
        row.suppressed("MAIL_SUPPRESS_SEND or TESTING is on")
