"""Mails as they go to a server, read for their rows."""

from __future__ import annotations

from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melody_logs.integrations.mime import PARSED_BYTES, read_mail, read_raw_mail


def make_mail(text: str = "plain") -> EmailMessage:
    mail = EmailMessage()
    mail["To"], mail["Subject"] = "Ann <ann@example.org>", "S"
    mail.set_content(text)
    return mail


def read(mail: EmailMessage | MIMEMultipart) -> dict[str, Any]:
    """Read a mail both as an object and as it is sent: they say the same."""
    fields = read_mail(mail)
    raw = read_raw_mail(mail.as_bytes())
    assert {**raw, "content": str(raw["content"]).strip()} == {**fields, "content": str(fields["content"]).strip()}
    return fields


def test_what_is_attached_is_never_read() -> None:
    mail = make_mail()
    mail.add_attachment("attached text", filename="notes.txt")
    mail.add_attachment("<p>attached page</p>", subtype="html", disposition="inline", filename="page.html")
    mail.add_attachment(make_mail("forwarded"))
    fields = read(mail)
    assert (fields["content"].strip(), fields["content_type"]) == ("plain", "text/plain")
    only = MIMEMultipart()
    attached = MIMEText("attached text")
    attached.add_header("Content-Disposition", "attachment", filename="a.txt")
    only.attach(attached)
    assert read_mail(only)["content"] is None


def test_html_goes_before_text_wherever_it_stands() -> None:
    mail = make_mail()
    mail.add_alternative("<p>rich</p>", subtype="html")
    mail.add_alternative("BEGIN:VCALENDAR", subtype="calendar")
    mail.add_attachment(b"x", maintype="image", subtype="png", filename="x.png")
    fields = read(mail)
    assert (fields["content"].strip(), fields["content_type"]) == ("<p>rich</p>", "text/html")


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252"])
@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_every_writing_of_a_text_is_read(charset: str, encoding: str) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Grüße, lang genug für eine zweite Zeile, die gewiss umgebrochen werden muss"
    mail.set_content("Grüße", charset=charset, cte=encoding)
    fields = read_raw_mail(mail.as_bytes())
    assert fields["content"].strip() == "Grüße"
    assert fields["subject"] == "Grüße, lang genug für eine zweite Zeile, die gewiss umgebrochen werden muss"


def test_a_large_attachment_is_not_parsed() -> None:
    mail = make_mail()
    mail.add_attachment(b"x" * 4 * PARSED_BYTES, maintype="application", subtype="zip", filename="x.zip")
    assert read_raw_mail(mail.as_bytes())["content"].strip() == "plain"


def test_parts_in_parts_without_end_are_left() -> None:
    inner: Any = MIMEText("deep")
    for _ in range(200):
        outer = MIMEMultipart()
        outer.attach(inner)
        inner = outer
    assert read_mail(inner)["content"] is None


@given(st.one_of(st.binary(), st.text()))
def test_any_bytes_are_read(data: bytes | str) -> None:
    assert set(read_raw_mail(data)) >= {"subject", "content", "content_type", "receiver", "provider_message_id"}


HEADERS = st.sampled_from(["Subject", "To", "Cc", "Content-Type", "Content-Transfer-Encoding", "Message-ID"])
VALUES = st.one_of(
    st.text(alphabet=st.characters(exclude_characters="\r\n")),
    st.sampled_from(["multipart/mixed; boundary=b", "text/html; charset=\x00", "base64", "=?utf-8?b?/w==?=", "<@>"]),
)


@given(st.lists(st.tuples(HEADERS, VALUES), max_size=6), st.text())
def test_any_headers_are_read(headers: list[tuple[str, str]], body: str) -> None:
    mail = "".join(f"{name}: {value}\n" for name, value in headers) + f"\n--b\n\n{body}\n--b--"
    assert isinstance(read_raw_mail(mail)["receiver"], list)
