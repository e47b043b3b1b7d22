"""The texts of a message: body, subject and the provider's answer, redacted first, then cleaned and cut."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from .cleaning import Marks, clean_text, to_text
from .known_secrets import read_secrets
from .redaction import Redacted, redact, redact_response

logger = logging.getLogger("melody_logs")

SUBJECT_LIMIT = 998
RESPONSE_LIMIT = 16_384
_CONTENT_TYPE_LIMIT = 32
#: How much more than the limit is redacted, so that a secret across the limit is seen whole.
REDACTION_MARGIN = 65_536
_SUBJECT_MARGIN = 4_096
#: What is dropped when the text ends where it was cut before redaction: half a secret may stand there.
_TAIL = 512
_LONGEST_TOKEN = 4_096
_HTML = re.compile(
    r"<(?:!doctype|html|head|body|p|div|br|table|tr|td|a|span|b|i|strong|em|h[1-6]|ul|img)\b", re.IGNORECASE
)
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+\-]+")
_SHORT_TYPES = {"html": "text/html", "text": "text/plain", "plain": "text/plain", "txt": "text/plain"}


def protect_texts(
    fields: Mapping[str, Any], *, limit_bytes: int, marks: Marks, without_body: bool = False
) -> dict[str, Any]:
    """Return the columns ``content``, ``content_type``, ``content_bytes``, ``subject`` and ``response``; never raises.

    If the redactor fails, all three texts are None and the mark ``content:withheld`` is set.

    :param limit_bytes: most bytes of the body in UTF-8.
    :param without_body: there is no room for it: its type and length are kept.
    """
    content = fields.get("content")
    values: dict[str, Any] = {"content_type": "text/plain", "content_bytes": 0}
    try:
        values["content_type"] = _read_content_type(fields.get("content_type"), content, marks)
        values["content_bytes"] = _count_bytes(content)
        if without_body and content is not None:
            marks.add("content:withheld")
            marks.add("spool:nearly_full")
            fields = {**fields, "content": None}
        values |= _redact_texts(fields, limit_bytes, marks)
    except Exception:
        logger.exception("the texts of a message could not be redacted; they are withheld and the rest is kept")
        marks.add("content:withheld")
        values |= {"content": None, "subject": None, "response": None}
    return values


def _redact_texts(fields: Mapping[str, Any], limit_bytes: int, marks: Marks) -> dict[str, Any]:
    secrets = read_secrets(fields.get("secrets"))

    def redact_text(text: str) -> Redacted:
        return redact(text, secrets=secrets)

    def redact_answer(text: str) -> Redacted:
        return redact_response(text, secrets)

    content = _redact_within(fields.get("content"), limit_bytes, REDACTION_MARGIN, "content", redact_text, marks)
    subject = _redact_within(fields.get("subject"), SUBJECT_LIMIT, _SUBJECT_MARGIN, "subject", redact_text, marks)
    answer = _redact_within(fields.get("response"), RESPONSE_LIMIT, REDACTION_MARGIN, "response", redact_answer, marks)
    content = clean_text(content, limit=limit_bytes, name="content", marks=marks, one_line=False)
    return {
        "content": _cut_bytes(content, limit_bytes, marks),
        "subject": clean_text(subject, limit=SUBJECT_LIMIT, name="subject", marks=marks),
        "response": clean_text(answer, limit=RESPONSE_LIMIT, name="response", marks=marks, one_line=False),
    }


def _redact_within(
    value: object, limit: int, margin: int, name: str, redactor: Callable[[str], Redacted], marks: Marks
) -> str | None:
    """Redact as much of a text as is kept, and a margin."""
    if value is None:
        return None
    text = to_text(value, limit=limit + margin, name=name, marks=marks)
    was_cut = len(text) > limit + margin
    redacted = redactor(text[: limit + margin] if was_cut else text)
    if redacted.count:
        marks.add(f"{name}:redacted")
    if was_cut and len(redacted.text) <= limit + _TAIL:
        marks.add(f"{name}:cut")
        return _drop_tail(redacted.text)
    return redacted.text


def _drop_tail(text: str) -> str:
    kept = text[: max(0, len(text) - _TAIL)]
    for index in range(len(kept) - 1, max(-1, len(kept) - _LONGEST_TOKEN), -1):
        if kept[index].isspace():
            return kept[:index]
    return kept[: max(0, len(kept) - _LONGEST_TOKEN)]


def _cut_bytes(text: str | None, limit_bytes: int, marks: Marks) -> str | None:
    if text is None or text.isascii() or len(text) * 4 <= limit_bytes:
        return text
    data = text.encode("utf-8", "replace")
    if len(data) <= limit_bytes:
        return text
    marks.add("content:cut")
    return data[:limit_bytes].decode("utf-8", "ignore")


def _count_bytes(content: object) -> int:
    if isinstance(content, str):
        return len(content) if content.isascii() else len(str.encode(content, "utf-8", "surrogatepass"))
    if isinstance(content, bytes | bytearray | memoryview):
        return memoryview(content).nbytes
    if content is None:
        return 0
    return len(to_text(content, limit=REDACTION_MARGIN, name="content", marks=Marks()).encode("utf-8", "surrogatepass"))


def _read_content_type(given: object, content: object, marks: Marks) -> str:
    if given is not None:
        text = clean_text(given, limit=255, name="content_type", marks=marks) or ""
        word = text.partition(";")[0].strip().lower()
        word = _SHORT_TYPES.get(word, word)
        if len(word) <= _CONTENT_TYPE_LIMIT and _MEDIA_TYPE.fullmatch(word):
            return word
        marks.add("content_type:invalid")
    if isinstance(content, bytes | bytearray):
        content = bytes(content[:8192]).decode("utf-8", "replace")
    return "text/html" if isinstance(content, str) and _HTML.search(content, 0, 8192) else "text/plain"
