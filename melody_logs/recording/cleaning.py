"""Make any value that a host hands over fit a text column: no exception, no control characters, no overlong text."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable

MARKS_LIMIT = 1024
USER_ID_LIMIT = 255
_BYTES_A_CHARACTER = 4
_REPLACEMENT = "\ufffd"
_SURROGATES = "\ud800-\udfff"

#: NUL cannot be stored by PostgreSQL, surrogates by no driver; the other controls forge lines and steer terminals.
_UNSAFE_IN_BODY = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f{_SURROGATES}]")
_UNSAFE_IN_LINE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{_SURROGATES}]")


class Marks:
    """The words that say what was done to an entry before it was written, such as ``content:cut``."""

    __slots__ = ("_words",)

    def __init__(self) -> None:
        self._words: dict[str, None] = {}

    def add(self, word: str) -> None:
        """Note *word*, once however often it is added."""
        self._words[word] = None

    def text(self) -> str | None:
        """Return the words separated by spaces, whole words only, at most 1024 characters; None if there are none."""
        text = " ".join(self._words)
        if len(text) > MARKS_LIMIT:
            text = text[: MARKS_LIMIT + 1].rpartition(" ")[0]
        return text or None


def clean_text(value: object, *, limit: int, name: str, marks: Marks, one_line: bool = True) -> str | None:
    """Return *value* as text that both databases, a terminal and a line of a log file can take; never raises.

    NUL and the other control characters become their pictures (U+2400 and on), what has no picture and lone surrogates
    U+FFFD. Line ends and tabs stay unless *one_line*. The text is not normalised: what was sent is kept.

    :param limit: most characters kept; the rest is cut before any other work, so that a huge value costs little.
    :param name: the field, for the marks ``NAME:cut``, ``NAME:cleaned``, ``NAME:decoded`` and ``NAME:unreadable``.
    """
    if value is None:
        return None
    text = value if type(value) is str else to_text(value, limit=limit, name=name, marks=marks)
    if len(text) > limit:
        text = text[:limit]
        marks.add(f"{name}:cut")
    if one_line:
        if text.isascii() and text.isprintable():
            return text
        unsafe = _UNSAFE_IN_LINE
    else:
        unsafe = _UNSAFE_IN_BODY
    if unsafe.search(text) is None:
        return text
    marks.add(f"{name}:cleaned")
    return unsafe.sub(_picture, text)


def to_text(value: object, *, limit: int, name: str, marks: Marks) -> str:
    """Turn an object into text without raising; bytes are decoded as UTF-8 as far as *limit* needs them.

    An object without a usable ``__str__`` becomes the name of its type in angle brackets.
    """
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(value)  # its own __str__ may do anything
    if issubclass(kind, bytes | bytearray | memoryview):
        marks.add(f"{name}:decoded")
        return _decode(value, limit, name, marks)  # type: ignore[arg-type]
    try:
        text = str(value)
        return text if type(text) is str else str.__str__(text)
    except Exception:
        marks.add(f"{name}:unreadable")
        return f"<{type.__dict__['__name__'].__get__(kind)}>"


def clean_user_id(value: object, marks: Marks) -> tuple[str | None, bool]:
    """Return a user id as text, and whether it is a whole number (of at most 63 bits), which it then is on the wire."""
    if type(value) is int and -(2**63) < value < 2**63:
        return str(value), True
    if type(value) is uuid.UUID:
        return str(value), False
    return clean_text(value, limit=USER_ID_LIMIT, name="user_id", marks=marks), False


def join_values(value: object, *, most: int) -> object:
    """Join a list, tuple or set of values with commas, as the receivers of one message are; others pass unchanged.

    :param most: how many values are read at most.
    """
    if not issubclass(type(value), list | tuple | set | frozenset):
        return value
    items: Iterable[object] = value  # type: ignore[assignment]
    ignored = Marks()
    parts = (to_text(item, limit=most, name="", marks=ignored) for item, _ in zip(items, range(most), strict=False))
    return ", ".join(parts)


def _decode(value: bytes, limit: int, name: str, marks: Marks) -> str:
    try:
        data = memoryview(value).cast("B")
    except (TypeError, ValueError):
        data = memoryview(bytes(value))
    readable = (limit + 1) * _BYTES_A_CHARACTER
    return bytes(data[:readable]).decode("utf-8", "replace")


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\u2424" if code in (0x2028, 0x2029) else _REPLACEMENT
