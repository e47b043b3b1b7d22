"""Mail through Flask-Mailman."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from flask import Flask

from ..recording.guard import guarded
from ..recording.outgoing import outgoing, outgoing_many, recall_description
from ..recording.receivers import list_addresses
from ..recording.sending import Sending
from ..state import State
from .integration import Integration, recorder_for
from .mime import choose_body, read_message_id
from .smtp import provider_of, wrap_smtplib
from .wrapping import remember_making, wrap_once

#: The backends that hand a mail to nobody.
_HOLDING_BACK = frozenset(f"flask_mailman.backends.{name}" for name in ("console", "dummy", "file", "locmem"))
_BACKENDS = "flask_mailman.backends."


class FlaskMailman(Integration):
    """Records mail that goes through Flask-Mailman, with whatever backend the app has: it stays the app's own.

    Each message is a row. Those that the backends ``locmem``, ``console``, ``file`` and ``dummy`` keep are suppressed.
    A backend that fails silently is known by the number that it says it sent; where that is less than it was given, and
    no library beneath tells of each, the rows are ``unknown``.
    """

    name: ClassVar[str] = "flask-mailman"
    distribution: ClassVar[str] = "flask-mailman"
    module: ClassVar[str] = "flask_mailman"
    extra: ClassVar[str | None] = "flask-mailman"
    least_version: ClassVar[tuple[int, ...]] = (1, 1)
    records: ClassVar[str] = "email"

    def connect(self, app: Flask, state: State) -> None:
        """Wrap the library's functions, once a process."""
        import flask_mailman

        wrap_smtplib()
        wrap_once(flask_mailman.EmailMessage, "__init__", remember_making)
        # The message finds its backend when it is sent: one that cannot be made is seen here only.
        wrap_once(flask_mailman.EmailMessage, "send", _wrap_send)
        wrap_once(flask_mailman._MailMixin, "get_connection", _wrap_get_connection)


def _wrap_send(original: Callable[..., Any]) -> Callable[..., Any]:
    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_for("flask-mailman", "email")
        if recorder is None or not self.recipients():
            return original(self, *args, **kwargs)
        with outgoing(recorder, "email", _read_message(self) or {}) as row:
            sent = original(self, *args, **kwargs)
            _tell_backend(self.connection, [row], sent)
            return sent

    return send


def _wrap_get_connection(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_connection(self: Any, *args: Any, **kwargs: Any) -> Any:
        backend = original(self, *args, **kwargs)
        _watch(backend)
        return backend

    return get_connection


@guarded
def _watch(backend: Any) -> None:
    """Let the backend's class tell what it is given. Wrapped in the object itself, it would never be freed at once."""
    wrap_once(type(backend), "send_messages", _wrap_send_messages)


def _wrap_send_messages(original: Callable[..., Any]) -> Callable[..., Any]:
    def send_messages(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = recorder_for("flask-mailman", "email")
        # Each backend has its own name for them.
        name, given = ("", args[0]) if args else next(iter(kwargs.items()), ("", None))
        if recorder is None or not given:
            return original(self, *args, **kwargs)
        messages = given if isinstance(given, list | tuple) else list(given)
        # The library sends nothing to nobody, and says nothing about it.
        facts = [_read_message(each, self) or {} for each in messages if _has_receivers(each)]
        with outgoing_many(recorder, "email", facts) as rows:
            sent = (
                original(self, messages, *args[1:], **kwargs) if args else original(self, **kwargs | {name: messages})
            )
            _tell_backend(self, rows, sent)
            return sent

    return send_messages


@guarded
def _has_receivers(message: Any) -> bool:
    return bool(message.recipients())


@guarded
def _read_message(message: Any, backend: Any = None) -> dict[str, Any]:
    parts = getattr(message, "alternatives", None) or ()
    html = next((content for content, kind in parts if kind == "text/html"), None)
    is_html = html is None and message.content_subtype == "html"
    headers = {name.casefold(): value for name, value in message.extra_headers.items()}
    return {
        "receiver": list_addresses(message.to, message.cc, message.bcc),
        "subject": message.subject,
        "provider": _provider_of(backend),
        # Without one in the headers the library makes a new one each time it is asked for the message.
        "provider_message_id": read_message_id(headers.get("message-id")),
        **choose_body(None if is_html else message.body, message.body if is_html else html),
        **(recall_description(message) or {}),
    }


@guarded
def _provider_of(backend: Any) -> str | None:
    names = _modules_of(backend)
    return provider_of(getattr(backend, "host", None)) if f"{_BACKENDS}smtp" in names else None


@guarded
def _tell_backend(backend: Any, rows: Sequence[Sending], sent: Any) -> None:
    """Say what became of the messages of which no library beneath the backend has told it."""
    untold = [row for row in rows if not row.has_word]
    holding = next(iter(_HOLDING_BACK.intersection(_modules_of(backend))), None)
    provider = _provider_of(backend)
    for row in rows:
        row.add(provider=provider)
    for row in untold:
        if holding is not None and sent != 0:
            row.suppressed(f"kept by {type(backend).__module__}")
        elif isinstance(sent, int) and sent < len(rows):
            said = f"the backend says that it sent {sent} of {len(rows)}"
            (row.unknown if sent else row.failed)(said)


def _modules_of(backend: Any) -> list[str]:
    modules: Iterable[str] = (kind.__module__ for kind in type(backend).__mro__)
    return list(modules)
