"""Mail through Flask-Mailing, which is asynchronous and sends by aiosmtplib."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from flask import Flask

from ..recording.guard import guarded
from ..recording.outgoing import is_any_on_its_way, outgoing
from ..recording.receivers import list_addresses
from ..recording.sending import Sending
from ..state import State
from .integration import Integration, recorder_for
from .smtp import provider_of, tell_answer
from .wrapping import wrap_once


class FlaskMailing(Integration):
    """Records mail that goes through Flask-Mailing: ``send_message``, ``send_mail``, ``send_mass_mail``.

    Each message is a row: sent with the server's answer and queue id, failed also where there is no connection, or
    suppressed where ``SUPPRESS_SEND`` keeps it back. The body of a message with a template is known when it is
    rendered, so it joins the row at the end.
    """

    name: ClassVar[str] = "flask-mailing"
    distribution: ClassVar[str] = "flask-mailing"
    module: ClassVar[str] = "flask_mailing"
    extra: ClassVar[str | None] = "flask-mailing"
    least_version: ClassVar[tuple[int, ...]] = (2, 1)
    records: ClassVar[str] = "email"

    def connect(self, app: Flask, state: State) -> None:
        """Wrap the library's functions, once a process."""
        import aiosmtplib
        import flask_mailing

        wrap_once(flask_mailing.Mail, "send_message", _wrap_send_message)
        wrap_once(aiosmtplib.SMTP, "sendmail", _wrap_sendmail)


def _wrap_send_message(original: Callable[..., Any]) -> Callable[..., Any]:
    async def send_message(self: Any, message: Any, template_name: Any = None, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_for("flask-mailing", "email")
        if recorder is None:
            return await original(self, message, template_name, *args, **kwargs)
        facts = (_read_message(self, message) or {}) | {"template": template_name}
        with outgoing(recorder, "email", facts | ({} if template_name else _read_body(message) or {})) as row:
            try:
                result = await original(self, message, template_name, *args, **kwargs)
            finally:
                if template_name:
                    _add_body(row, message)
            _tell_suppressed(row, self)
            return result

    return send_message


def _wrap_sendmail(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let aiosmtplib add the server's answer to the row of whoever calls it."""

    async def sendmail(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_any_on_its_way("email"):
            return await original(self, *args, **kwargs)
        recipients = args[1] if len(args) > 1 else kwargs.get("recipients")
        with outgoing(None, "email", {"receiver": recipients}) as row:
            try:
                result = await original(self, *args, **kwargs)
            except Exception as error:
                _tell_refusal(row, error)
                raise
            _tell_result(row, result)
            return result

    return sendmail


@guarded
def _tell_result(row: Sending, result: Any) -> None:
    refused, answer = result
    tell_answer(row, 250, answer, refused)


@guarded
def _tell_refusal(row: Sending, error: Any) -> None:
    each = [error] if hasattr(error, "code") else getattr(error, "recipients", None) or []
    lines = [f"{getattr(one, 'recipient', type(error).__name__)}: {one.code} {one.message}" for one in each[:20]]
    if lines:
        row.failed("\n".join(lines))


@guarded
def _add_body(row: Sending, message: Any) -> None:
    row.add(**(_read_body(message) or {}))


@guarded
def _tell_suppressed(row: Sending, mail: Any) -> None:
    if mail.config.SUPPRESS_SEND:
        row.suppressed("SUPPRESS_SEND is on")


@guarded
def _read_message(mail: Any, message: Any) -> dict[str, Any]:
    return {
        "receiver": list_addresses(message.recipients, message.cc, message.bcc),
        "subject": message.subject,
        "provider": provider_of(mail.config.MAIL_SERVER),
    }


@guarded
def _read_body(message: Any) -> dict[str, Any]:
    """Give the body that the library sends: with a plain one it leaves HTML out."""
    rendered = message.template_body if isinstance(message.template_body, str) else None
    plain = None if rendered or message.subtype == "html" else message.body
    content = rendered or message.body or message.html
    return {"content": content, "content_type": "text/plain" if plain else "text/html"} if content else {}
