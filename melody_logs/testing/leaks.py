"""Looking for secrets in entries. It shares no code with the redactor, so that both would have to be wrong."""

from __future__ import annotations

import base64
import html
import quopri
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus

from ..recording.entries import Entry

_LEAST_CHARACTERS = 4
#: A shorter word or number may be a part of a longer one by chance.
_STANDS_ALONE_BELOW = 6
_LEAST_BASE64 = 5
#: Ours, not the host's: an id, a keyed hash, a moment.
_NOT_TEXT = frozenset({"event_id", "identity_hash", "occurred_at", "last_at"})

_DECODERS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("percent-encoded", unquote),
    ("percent-encoded", unquote_plus),
    ("HTML-escaped", html.unescape),
    ("quoted-printable", lambda text: quopri.decodestring(text.encode()).decode("utf-8", "replace")),
)


class Leak(NamedTuple):
    """A secret that is readable in a field; it is named by its number only."""

    kind: str
    event_id: str
    field: str
    secret: int
    form: str

    def __str__(self) -> str:
        return f'{self.kind} entry {self.event_id}: "{self.field}" holds secret {self.secret} ({self.form})'


class Secret:
    """A value that must not be stored; it does not show itself."""

    __slots__ = ("_encoded", "_pattern", "number")

    def __init__(self, value: str, number: int) -> None:
        value = value.strip()
        if len(value) < _LEAST_CHARACTERS:
            raise ValueError(f"a secret of less than {_LEAST_CHARACTERS} characters would be found by chance")
        self.number = number
        pattern = re.escape(value)
        if value.isalnum() and len(value) < _STANDS_ALONE_BELOW:
            pattern = rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"
        self._pattern = re.compile(pattern)
        self._encoded = tuple(_base64_forms(value))

    def __repr__(self) -> str:
        return f"<secret {self.number}>"

    def find_form(self, views: Sequence[tuple[str, str]]) -> str | None:
        """Say in which form it is readable in one of the *views*, pairs of a form and a text; None if in none."""
        for form, text in views:
            if self._pattern.search(text):
                return form
        for _, text in views:
            compact = "".join(text.split())
            if any(encoded in compact for encoded in self._encoded):
                return "base64"
        return None


def find_leaks(entries: Sequence[Entry], secrets: Sequence[Secret]) -> list[Leak]:
    """Find each secret in each text of the entries, once a field."""
    leaks: dict[Leak, None] = {}
    for entry in entries if secrets else ():
        for field, text in _texts_of(entry.values):
            views = _view(text)
            for secret in secrets:
                form = secret.find_form(views)
                if form is not None:
                    leaks[Leak(entry.kind, entry.event_id, field, secret.number, form)] = None
    return list(leaks)


def _texts_of(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field, value in values.items():
        if field not in _NOT_TEXT:
            yield from ((field, text) for text in _flatten(value))


def _flatten(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _flatten(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _flatten(one)


def _view(text: str) -> list[tuple[str, str]]:
    """Read a text as it is, and decoded once and twice: a link in an HTML mail is escaped in both ways."""
    views = {text: "as it is"}
    fresh = list(views)
    for _ in range(2):
        following = []
        for known in fresh:
            for form, decode in _DECODERS:
                decoded = decode(known)
                if decoded not in views:
                    views[decoded] = form
                    following.append(decoded)
        fresh = following
    return [(form, view) for view, form in views.items()]


def _base64_forms(value: str) -> Iterator[str]:
    """Encode the value at each of the three offsets that it may have, without the characters that neighbours share."""
    data = value.encode()
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + data + bytes(-(offset + len(data)) % 3)).decode()
        first = -(-offset * 8 // 6)
        last = (offset + len(data)) * 8 // 6
        core = whole[first:last]
        if len(core) >= _LEAST_BASE64:
            yield from {core, core.replace("+", "-").replace("/", "_")}
