"""A call as it came in: nothing of it is to be believed before its proof was checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl

from werkzeug.datastructures import Headers

from ..storage.deliveries import DeliveryReport

_MOST_FIELDS = 200


class CallRefused(Exception):
    """A call that is not taken: the HTTP status of the answer, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def forged(reason: str) -> CallRefused:
    """Refuse a call that does not prove whose it is."""
    return CallRefused(403, reason)


def malformed(reason: str) -> CallRefused:
    """Refuse a call that nobody can read."""
    return CallRefused(400, reason)


@dataclass(frozen=True, slots=True)
class Callback:
    """One call: its *body* and *headers*, and the *url* that its provider called."""

    body: bytes
    headers: Headers
    url: str

    def read_form(self) -> list[tuple[str, str]]:
        """Read the body as a form.

        :raise CallRefused: if it is none.
        """
        try:
            text = self.body.decode("utf-8")
            return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
        except ValueError:
            raise malformed("the body is not a form") from None

    def read_json(self) -> Any:
        """Read the body as JSON.

        :raise CallRefused: if it is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise malformed("the body is not JSON") from None

    def read_object(self) -> dict[str, Any]:
        """Read the body as a JSON object.

        :raise CallRefused: if it is none.
        """
        document = self.read_json()
        if not isinstance(document, dict):
            raise malformed("the body is not a JSON object")
        return document


class Provider(Protocol):
    """Checks and reads the calls of one provider."""

    name: str

    def read(self, callback: Callback) -> list[DeliveryReport | None]:
        """Check a call and read its reports; None for what is no report of ours.

        :raise CallRefused: if its proof is missing or wrong, or it cannot be read.
        """
        ...


def part(value: object, *names: str) -> Any:
    """Walk into objects of JSON by name; None where there is no such part."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text_of(*parts: object) -> str | None:
    """Join what is text or a number, as the provider's words; None if nothing is."""
    texts = [str(each).strip() for each in parts if isinstance(each, str | int) and not isinstance(each, bool)]
    return ": ".join(text for text in texts if text) or None


def moment_of(value: object) -> datetime | None:
    """Read a time as providers write it, seconds since 1970 or ISO 8601; None if it is neither."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
