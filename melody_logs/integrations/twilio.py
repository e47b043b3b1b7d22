"""Twilio: every client of the process, whichever HTTP client it has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask

from ..recording.guard import guarded
from ..recording.sending import Sending
from ..state import State
from ..vocabulary import Kind
from .integration import Integration, state_with
from .provider_calls import Call, record_async_call, record_call
from .wrapping import wrap_once

_MESSAGES = re.compile(r"/2010-04-01/Accounts/[^/]+/Messages(\.json)?")
_VERIFICATIONS = re.compile(r"/v2/Services/[^/]+/Verifications")
#: The answer's words for a message that has left, or never will.
_SENT = frozenset({"sent", "delivered", "read"})
_FAILED = frozenset({"failed", "undelivered", "canceled"})
#: Channels of Verify that bring no text to anybody.
_NO_MESSAGES = frozenset({"call", "totp", "push", "sna", "passkeys"})


class Twilio(Integration):
    """Records each message that a client of Twilio sends, and each code that Verify sends.

    A code of Verify is Twilio's own: its row has the receiver, the purpose ``mfa`` and no body. Phone calls, and checks
    of a code, are no messages. Not seen is who calls the HTTP API without the library.
    """

    name = "twilio"
    distribution = "twilio"
    module = "twilio.rest"
    extra = "twilio"
    least_version = (9,)
    records = "text messages, codes of Verify"

    def connect(self, app: Flask, state: State) -> None:
        """Wrap the one function of the library through which all its calls go."""
        from twilio.base.client_base import ClientBase

        wrap_once(ClientBase, "request", _watch)
        wrap_once(ClientBase, "request_async", _watch_async)


def _watch(request: Callable[..., Any]) -> Callable[..., Any]:
    def call(client: Any, method: str, uri: str, *given: Any, **options: Any) -> Any:
        known = _read_call(method, uri, given, options)
        return record_call(known, lambda: request(client, method, uri, *given, **options), _read_answer)

    return call


def _watch_async(request: Callable[..., Any]) -> Callable[..., Any]:
    async def call(client: Any, method: str, uri: str, *given: Any, **options: Any) -> Any:
        known = _read_call(method, uri, given, options)
        return await record_async_call(known, lambda: request(client, method, uri, *given, **options), _read_answer)

    return call


@guarded
def _read_call(method: str, uri: str, given: tuple[Any, ...], options: dict[str, Any]) -> Call | None:
    """Read what a call sends; None if it sends nothing, or nothing that is recorded."""
    if method.upper() != "POST":
        return None
    path = urlsplit(uri).path
    is_code = _VERIFICATIONS.fullmatch(path) is not None
    if not is_code and not _MESSAGES.fullmatch(path):
        return None
    state = state_with(Twilio.name)
    # The third and fourth arguments are the query and the form.
    data = options.get("data") if "data" in options else (given[1] if len(given) > 1 else None)
    if state is None or not isinstance(data, dict):
        return None
    kind, fields = _read_code(data) if is_code else _read_message(data)
    return Call(state, kind, fields) if kind and state.settings.is_enabled(kind) else None


def _read_message(data: dict[str, Any]) -> tuple[Kind, dict[str, Any]]:
    # The values of a template may be codes, and have no text around them by which one could know.
    named = {"receiver": data.get("To"), "content": data.get("Body"), "template": data.get("ContentSid")}
    return "sms", {"provider": Twilio.name, "content_type": "text/plain", **named}


def _read_code(data: dict[str, Any]) -> tuple[Kind | None, dict[str, Any]]:
    fields = {"provider": Twilio.name, "receiver": data.get("To"), "purpose": "mfa"}
    channel = data.get("Channel")
    if channel in _NO_MESSAGES:
        return None, fields
    return "email" if channel == "email" else "sms", fields


def _read_object(text: Any) -> dict[str, Any]:
    """Read an answer; what stands between a client and Twilio may answer in HTML."""
    try:
        body = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


@guarded
def _read_answer(message: Sending, answer: Any) -> None:
    body = _read_object(answer.text)
    if answer.status_code >= 400:
        # Not the whole: it may repeat what was sent.
        words = [answer.status_code, body.get("code"), body.get("message") or body.get("detail")]
        message.failed(": ".join(str(word) for word in words if word))
        return
    status, sid = body.get("status"), body.get("sid")
    said = f"{answer.status_code}: {status or 'no status'}"
    if status in _FAILED:
        message.failed(f"{said} {body.get('error_code') or ''} {body.get('error_message') or ''}".strip())
    elif status in _SENT:
        message.sent(said, provider_message_id=sid)
    else:
        message.accepted(said, provider_message_id=sid)
