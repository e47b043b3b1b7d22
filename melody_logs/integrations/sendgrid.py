"""Mail through the web API of SendGrid."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from flask import Flask

from ..recording.guard import guarded
from ..recording.outgoing import outgoing_many
from ..recording.receivers import list_addresses
from ..recording.sending import Sending
from ..state import State
from .integration import Integration, recorder_for
from .mime import choose_body
from .wrapping import wrap_once

_PATH = "/v3/mail/send"
#: SendGrid refuses more in one call.
_MOST_PERSONALIZATIONS = 1000


class SendGrid(Integration):
    """Records mail through the library ``sendgrid``: ``SendGridAPIClient.send`` and ``client.mail.send.post``.

    Each *personalization* of a call is a message, and so a row; they share the id that SendGrid gives the call. What
    the sandbox mode keeps is suppressed. With a dynamic template the template's id is kept, but no body, which only
    SendGrid has.
    """

    name: ClassVar[str] = "sendgrid"
    distribution: ClassVar[str] = "sendgrid"
    module: ClassVar[str] = "sendgrid"
    extra: ClassVar[str | None] = "sendgrid"
    least_version: ClassVar[tuple[int, ...]] = (6, 11)
    records: ClassVar[str] = "email"

    def connect(self, app: Flask, state: State) -> None:
        """Wrap the function of the library's client through which every call goes, once a process."""
        import python_http_client

        wrap_once(python_http_client.Client, "_make_request", _wrap_request)


def _wrap_request(original: Callable[..., Any]) -> Callable[..., Any]:
    def make_request(self: Any, opener: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_for("sendgrid", "email")
        mail = None if recorder is None else _read_mail(request)
        if mail is None:
            return original(self, opener, request, *args, **kwargs)
        is_sandbox = _is_sandbox(mail)
        with outgoing_many(recorder, "email", _read_messages(mail) or [{"provider": "sendgrid"}]) as rows:
            try:
                answer = original(self, opener, request, *args, **kwargs)
            except Exception as error:
                _tell_error(rows, error)
                raise
            _tell_answer(rows, answer, is_sandbox)
            return answer

    return make_request


@guarded
def _read_mail(request: Any) -> dict[str, Any] | None:
    """Give the mail that a request sends; None for another request."""
    if request.get_method() != "POST" or not urlsplit(request.full_url).path.endswith(_PATH):
        return None
    mail = json.loads(request.data)
    return mail if isinstance(mail, dict) else None


@guarded
def _read_messages(mail: dict[str, Any]) -> list[dict[str, Any]]:
    bodies = {part.get("type"): part.get("value") for part in mail.get("content") or []}
    shared = {
        "provider": "sendgrid",
        "template": mail.get("template_id"),
        **choose_body(bodies.get("text/plain"), bodies.get("text/html")),
    }
    return [
        shared | {"receiver": _read_receivers(each), "subject": each.get("subject") or mail.get("subject")}
        for each in mail["personalizations"][:_MOST_PERSONALIZATIONS]
    ]


def _read_receivers(personalization: dict[str, Any]) -> list[str]:
    return list_addresses(
        [each["email"] for name in ("to", "cc", "bcc") for each in personalization.get(name) or ()],
    )


@guarded
def _is_sandbox(mail: dict[str, Any]) -> bool:
    return bool(mail.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"))


@guarded
def _tell_answer(rows: Sequence[Sending], answer: Any, is_sandbox: bool | None) -> None:
    message_id = answer.headers.get("X-Message-Id")
    for row in rows:
        if is_sandbox:
            row.suppressed(f"{answer.getcode()}: the sandbox mode is on")
        else:
            row.sent(f"{answer.getcode()} {answer.reason}", provider_message_id=message_id)


@guarded
def _tell_error(rows: Sequence[Sending], error: Any) -> None:
    """Say in SendGrid's words why it refused; other exceptions speak for themselves."""
    status = getattr(error, "status_code", None)
    if status is None:
        return
    body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else error.body
    for row in rows:
        row.failed(f"{status} {error.reason}: {body}")
