"""Reads a mail in the form of RFC 5322 for its row: subject, body, receivers, id. Attachments are never read."""

from __future__ import annotations

from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from typing import Any

from ..recording.receivers import list_addresses

#: Bodies come before attachments; what lies further back is not parsed.
PARSED_BYTES = 512 * 1024
_RECEIVER_HEADERS = ("To", "Cc", "Bcc")
#: A tree of parts that is deeper than a mail program makes it is not read to its end.
_DEEPEST = 8


def read_raw_mail(data: str | bytes | bytearray) -> dict[str, Any]:
    """Give the fields of a mail as it goes to the server."""
    start = data[:PARSED_BYTES]
    return read_mail(BytesParser().parsebytes(start.encode("utf-8", "replace") if isinstance(start, str) else start))


def read_mail(mail: Message) -> dict[str, Any]:
    """Give the fields of a mail: ``subject``, ``content``, ``content_type``, ``receiver``, ``provider_message_id``."""
    return {
        "subject": _read_subject(mail),
        "receiver": list_addresses([str(value) for name in _RECEIVER_HEADERS for value in mail.get_all(name, ())]),
        "provider_message_id": read_message_id(mail.get("Message-ID")),
    } | _read_body(mail)


def read_message_id(header: object) -> str | None:
    """Give the id in a ``Message-ID`` header, without its angle brackets."""
    return str(header).strip().strip("<>") or None if header else None


def choose_body(text: object, html: object) -> dict[str, Any]:
    """Give ``content`` and ``content_type``: the HTML where there is one, for that is what people see."""
    return {"content": html, "content_type": "text/html"} if html else {"content": text, "content_type": "text/plain"}


def _read_subject(mail: Message) -> str | None:
    subject = mail.get("Subject")
    try:
        return None if subject is None else str(make_header(decode_header(subject)))
    except (LookupError, ValueError):
        return str(subject)


def _read_body(mail: Message) -> dict[str, Any]:
    bodies = dict[str, Message]()
    for part in _list_texts(mail, 0):
        bodies.setdefault(part.get_content_type(), part)
    text, html = (_decode(bodies[kind]) if kind in bodies else None for kind in ("text/plain", "text/html"))
    return choose_body(text, html)


def _list_texts(part: Message, depth: int) -> Iterator[Message]:
    if part.get_content_disposition() == "attachment" or part.get_filename() or depth > _DEEPEST:
        return
    if part.get_content_maintype() == "multipart":
        inner: Any = part.get_payload() if part.is_multipart() else ()
        for each in inner:
            yield from _list_texts(each, depth + 1)
    elif part.get_content_maintype() == "text":
        yield part


def _decode(part: Message) -> str | None:
    try:
        data: Any = part.get_payload(decode=True)
        charset = str(part.get_content_charset() or "utf-8")
    except (LookupError, ValueError):
        return None
    if not isinstance(data, bytes):
        return None
    try:
        return data.decode(charset, "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")
