"""The signals that a host sends by itself, connected to the recorder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask

from .. import signals
from ..recording.guard import guarded
from ..recording.recorder import Recorder


def connect(
    app: Flask, recorder: Recorder, message_fields: frozenset[str], sign_in_fields: frozenset[str]
) -> tuple[Callable[..., None], ...]:
    """Connect the signals, and return the receivers, which live as long as somebody keeps them.

    :param message_fields: the keywords that a message may have; others are left out, as are those of a sign-in.
    """

    @guarded
    def on_email(sender: object, **fields: Any) -> None:
        recorder.record_message("email", _chosen(fields, message_fields))

    @guarded
    def on_sms(sender: object, **fields: Any) -> None:
        recorder.record_message("sms", _chosen(fields, message_fields))

    @guarded
    def on_sign_in(sender: object, **fields: Any) -> None:
        recorder.note_sign_in(_chosen(fields, sign_in_fields))

    signals.email_sent.connect(on_email, sender=app)
    signals.sms_sent.connect(on_sms, sender=app)
    signals.sign_in_attempted.connect(on_sign_in, sender=app)
    return on_email, on_sms, on_sign_in


def _chosen(fields: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in names and value is not None}
