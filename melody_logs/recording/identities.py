"""What was typed as a user name: kept if it can be nothing else, masked and hashed if it may be a password."""

from __future__ import annotations

import hmac
import re
import unicodedata

from .cleaning import Marks, clean_text

IDENTITY_LIMIT = 320
_MASK = "•••"

#: Narrower than RFC 5321 on purpose: ``p@ssw0rd`` and ``my p@ss.word`` are passwords, and rare addresses get masked.
_EMAIL = re.compile(
    r"[\w+'-]{1,64}(?:\.[\w+'-]{1,64}){0,16}"
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,16}"
    r"(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,63})",
    re.IGNORECASE,
)
#: International form (E.164: at most 15 digits, led by + or 00), however it is grouped.
_INTERNATIONAL_PHONE = re.compile(r"(?:\+|00)[ ]?[0-9(](?:[ ()./\-]{0,2}[0-9]){6,14}")
#: Without a country code only when grouped as a phone number: ten bare digits are also a popular password.
_GROUPED_PHONE = re.compile(r"\(?[0-9]{2,4}\)?(?:[ ./\-][ ]?[0-9]{2,4}){2,5}")


def protect_identity(typed: object, *, known: bool, key: bytes, marks: Marks) -> tuple[str | None, str | None]:
    """Return what of a typed user name may be stored, and its keyed hash; (None, None) if nothing was typed.

    Email addresses, phone numbers and names of *known* accounts are kept as typed. Anything else is masked to its
    first character and marked ``identity:masked``, because people type passwords there; the hash still finds it.
    """
    text = clean_text(typed, limit=IDENTITY_LIMIT, name="identity", marks=marks)
    text = text.strip() if text else None
    if not text:
        return None, None
    digest = hash_identity(text, key)
    if known or is_email_address(text) or is_phone_number(text):
        return text, digest
    marks.add("identity:masked")
    return text[0] + _MASK, digest


def hash_identity(identity: str, key: bytes) -> str:
    """Return the HMAC-SHA256 of an identity in hex, the same for any case, outer space and Unicode composition."""
    folded = identity.strip()[:IDENTITY_LIMIT]
    if folded.isascii():
        folded = folded.lower()
    else:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", folded).casefold())
    return hmac.digest(key, folded.encode("utf-8", "replace"), "sha256").hex()


def is_email_address(text: str) -> bool:
    """Say whether *text* is an email address with a dotted domain and nothing that only passwords have."""
    return "@" in text and _EMAIL.fullmatch(text) is not None


def is_phone_number(text: str) -> bool:
    """Say whether *text* is a phone number: international, or grouped with 10 to 15 digits."""
    if _INTERNATIONAL_PHONE.fullmatch(text):
        return True
    return _GROUPED_PHONE.fullmatch(text) is not None and 10 <= sum(map(str.isdigit, text)) <= 15
