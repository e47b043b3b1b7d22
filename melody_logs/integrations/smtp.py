"""Mail through ``smtplib``, and what an SMTP server's answer says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar

from flask import Flask

from ..recording.guard import guarded
from ..recording.outgoing import is_any_on_its_way, outgoing
from ..recording.receivers import list_addresses
from ..recording.sending import Sending
from ..state import State, state_of
from .integration import Integration, recorder_for
from .mime import read_mail, read_raw_mail
from .wrapping import wrap_once

Answer = tuple[int, Any]
#: The answers to the data of the mail at hand, as ``sendmail`` keeps them to itself.
_ANSWERS: ContextVar[list[Answer] | None] = ContextVar("melody_logs_smtp_answers", default=None)
#: How servers name the mail that they have taken: Postfix and SendGrid, Exim, Sendmail, Gmail, Exchange, Amazon SES.
_QUEUE_IDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"queued as ([\w.-]{1,128})",
        r"\bid=([\w-]{6,128})",
        r"([\w.-]{6,128}) message accepted for delivery",
        r"([\w.-]{6,128}) - gsmtp",
        r"\[InternalId=(\d{1,64})",
        r"^(?:\d\.\d\.\d )?ok:? ([0-9a-f]{16}[0-9a-f-]{10,100})",
    )
)
#: Whose servers have names by which their own word for the provider is known.
_PROVIDERS = {
    ".amazonaws.com": "ses",
    "smtp.sendgrid.net": "sendgrid",
    "smtp.mailgun.org": "mailgun",
    "smtp.eu.mailgun.org": "mailgun",
    "smtp.postmarkapp.com": "postmark",
}
#: More refused receivers are counted, not named.
_MOST_NAMED = 20


class Smtplib(Integration):
    """Records mail that goes through ``smtplib``: ``SMTP``, ``SMTP_SSL`` and ``LMTP``, by whichever library.

    It sees ``sendmail`` and ``send_message``, with the server's last answer, its queue id and the receivers that it
    refused. It does not see a mail that was never handed over because the connection failed before, nor one that the
    host sends command by command (``mail``, ``rcpt``, ``data``).
    """

    name: ClassVar[str] = "smtplib"
    distribution: ClassVar[str] = ""
    module: ClassVar[str] = "smtplib"
    records: ClassVar[str] = "email"

    def is_used(self, app: Flask) -> bool:
        """Say whether *app* keeps an email log: a function may import the library a moment before it sends."""
        return state_of(app).settings.enable_email_log

    def connect(self, app: Flask, state: State) -> None:
        """Wrap the library's functions, once a process."""
        wrap_smtplib()

    def find_gaps(self, app: Flask) -> Iterable[str]:
        """Name the asynchronous library, whose answers only Flask-Mailing's rows get."""
        if "aiosmtplib" in sys.modules and "flask_mailing" not in sys.modules:
            yield "what aiosmtplib sends is not seen: put logs.sending_email() around the call"


def wrap_smtplib() -> None:
    """Let ``smtplib`` tell what the server answered: as rows of its own, or to the row of the library that calls it."""
    import smtplib

    wrap_once(smtplib.SMTP, "sendmail", _wrap_sendmail)
    wrap_once(smtplib.SMTP, "send_message", _wrap_send_message)
    wrap_once(smtplib.SMTP, "data", _wrap_data)


def provider_of(server: object) -> str:
    """Name the provider behind a mail server's address; ``smtp`` if it is none that has a name of its own."""
    name = server.casefold() if isinstance(server, str) else ""
    return next((word for ending, word in _PROVIDERS.items() if name.endswith(ending)), "smtp")


@guarded
def tell_answer(message: Sending, code: int, answer: object, refused: Mapping[str, Answer] | None) -> None:
    """Say that a server took a mail, with its answer, its queue id, and whom it refused nevertheless."""
    text = _text_of(answer)
    queue_id = next((found[1] for pattern in _QUEUE_IDS if (found := pattern.search(text))), None)
    message.sent("\n".join((f"{code} {text}", *_list_refused(refused or {}))), provider_message_id=queue_id)


@guarded
def tell_refusal(message: Sending, error: Exception) -> None:
    """Say that a server refused a mail, in its words; other exceptions speak for themselves."""
    refused = getattr(error, "recipients", None)
    if isinstance(refused, Mapping):
        message.failed("\n".join((type(error).__name__, *_list_refused(refused))))
    elif hasattr(error, "smtp_code"):
        message.failed(f"{type(error).__name__}: {error.smtp_code} {_text_of(getattr(error, 'smtp_error', ''))}")


def _wrap_sendmail(original: Callable[..., Any]) -> Callable[..., Any]:
    def sendmail(self: Any, from_addr: Any, to_addrs: Any, msg: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_for("smtplib", "email")
        if recorder is None and not is_any_on_its_way("email"):
            return original(self, from_addr, to_addrs, msg, *args, **kwargs)
        with outgoing(recorder, "email", _begin(self, to_addrs) or {}, lambda: _read_data(msg, to_addrs)) as message:
            answers = list[Answer]()
            token = _ANSWERS.set(answers)
            try:
                refused = original(self, from_addr, to_addrs, msg, *args, **kwargs)
            except Exception as error:
                tell_refusal(message, error)
                raise
            finally:
                _ANSWERS.reset(token)
            code, answer = answers[-1] if answers else (250, b"")
            tell_answer(message, code, answer, refused)
            _tell_provider(message, self)
            return refused

    return sendmail


def _wrap_send_message(original: Callable[..., Any]) -> Callable[..., Any]:
    def send_message(
        self: Any, msg: Any, from_addr: Any = None, to_addrs: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        recorder = recorder_for("smtplib", "email")
        if recorder is None:
            return original(self, msg, from_addr, to_addrs, *args, **kwargs)
        with outgoing(recorder, "email", _begin(self, to_addrs) or {}, lambda: _read_message(msg, to_addrs)) as message:
            try:
                return original(self, msg, from_addr, to_addrs, *args, **kwargs)
            except Exception as error:
                tell_refusal(message, error)
                raise

    return send_message


def _wrap_data(original: Callable[..., Any]) -> Callable[..., Any]:
    def data(self: Any, msg: Any) -> Any:
        answer = original(self, msg)
        answers = _ANSWERS.get()
        if answers is not None:
            answers.append(answer)
        return answer

    return data


@guarded
def _begin(server: Any, to_addrs: Any) -> dict[str, Any]:
    return {"receiver": to_addrs, "provider": provider_of(getattr(server, "_host", None))}


@guarded
def _tell_provider(message: Sending, server: Any) -> None:
    message.add(provider=provider_of(getattr(server, "_host", None)))


def _read_data(data: Any, to_addrs: Any) -> dict[str, Any]:
    # Who gets it stands in the envelope: the headers may name others, and do not name blind copies.
    return read_raw_mail(data) | {"receiver": list_addresses(to_addrs)}


def _read_message(message: Any, to_addrs: Any) -> dict[str, Any]:
    fields = read_mail(message)
    return fields if to_addrs is None else fields | {"receiver": list_addresses(to_addrs)}


def _list_refused(refused: Mapping[str, Answer]) -> list[str]:
    if not refused:
        return []
    named = [f"{receiver}: {code} {_text_of(answer)}" for receiver, (code, answer) in refused.items()]
    more = [f"and {len(named) - _MOST_NAMED} more"] if len(named) > _MOST_NAMED else []
    return ["refused:", *named[:_MOST_NAMED], *more]


def _text_of(answer: object) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
