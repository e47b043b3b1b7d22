"""What the vocabulary is called on a page: outcomes with their marks, reasons, methods, kinds, counts."""

from __future__ import annotations

import dataclasses

from ..vocabulary import Kind
from .visible_text import reveal


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """An outcome as icon and word; *tone* is ``good``, ``bad``, ``wait`` or ``muted``."""

    icon: str
    word: str
    tone: str


#: The noun of one row and of several, for counts and titles.
NOUNS: dict[Kind, tuple[str, str]] = {
    "sign-in": ("sign-in", "sign-ins"),
    "email": ("email", "emails"),
    "sms": ("text message", "text messages"),
}

OUTCOME_MARKS = {
    "success": Mark("check", "Success", "good"),
    "failure": Mark("cross", "Failed", "bad"),
    "challenge": Mark("clock", "Challenge", "wait"),
    "blocked": Mark("stop", "Blocked", "bad"),
}
STATUS_MARKS = {
    "pending": Mark("clock", "Pending", "wait"),
    "unknown": Mark("question", "Unknown", "wait"),
    "accepted": Mark("check", "Accepted", "good"),
    "sent": Mark("check", "Sent", "good"),
    "suppressed": Mark("layers", "Suppressed", "muted"),
    "failed": Mark("cross", "Failed", "bad"),
    "delivered": Mark("check", "Delivered", "good"),
    "bounced": Mark("cross", "Bounced", "bad"),
    "complained": Mark("stop", "Complained", "bad"),
}
#: What stands in the history of a message.
REPORT_MARKS = STATUS_MARKS | {"deferred": Mark("clock", "Deferred", "wait")}
JOB_MARKS = {
    "queued": Mark("clock", "Queued", "wait"),
    "running": Mark("clock", "Running", "wait"),
    "finished": Mark("check", "Finished", "good"),
    "failed": Mark("cross", "Failed", "bad"),
}
HEALTH_MARKS = {
    "good": Mark("check", "Good", "good"),
    "warning": Mark("clock", "Warning", "wait"),
    "bad": Mark("cross", "Bad", "bad"),
}

_WORDS = {
    "wrong_code": "Wrong code",
    "sms_code": "Text-message code",
    "email_code": "Email code",
    "otp": "One-time code",
    "saml": "SAML",
    "magic_link": "Magic link",
    "mfa": "Second factor",
    "mfa_help": "Help with the second factor",
    "sms": "SMS",
    "geoip": "GeoIP",
    "sign-in": "Sign-ins",
}
_FAMILIES = {"oauth": "OAuth", "saml": "SAML"}


def mark_of(marks: dict[str, Mark], word: str | None) -> Mark:
    """Find the mark of *word*; one that is not known is shown as it is."""
    if word in marks:
        return marks[word]
    return Mark("question", say(word) or "Unknown", "wait")


def outcome_mark(outcome: str, folded_count: int | None) -> Mark:
    """Mark the outcome of a sign-in row, which may count many attempts: "Failed", and how many times."""
    mark = mark_of(OUTCOME_MARKS, outcome)
    return (
        mark
        if folded_count is None
        else Mark("layers", f"{mark.word} \N{MULTIPLICATION SIGN} {folded_count:,}", mark.tone)
    )


def say(word: str | None) -> str:
    """Turn a word into a phrase: ``wrong_password`` → "Wrong password", ``oauth:github`` → "OAuth (github)"."""
    if not word:
        return ""
    if word in _WORDS:
        return _WORDS[word]
    family, colon, provider = word.partition(":")
    if colon and family in _FAMILIES:
        return f"{_FAMILIES[family]} ({reveal(provider)})"
    return begin(reveal(word.replace("_", " ")))


def begin(text: str) -> str:
    """Begin *text* with a capital, unless its first word is an address, a path or a name in code."""
    first = text.split(" ", 1)[0]
    return text if "/" in first or "_" in first else text[:1].upper() + text[1:]


def count(kind: Kind, number: int) -> str:
    """Say how many rows of *kind*: "1 email", "1,204 sign-ins"."""
    return f"{number:,} {NOUNS[kind][number != 1]}"


def days(number: int) -> str:
    """Say a number of days: "1 day", "30 days"."""
    return f"{number:,} day{'' if number == 1 else 's'}"


def size(number: int | None) -> str:
    """Say a number of bytes in the unit that fits: "0 B", "12.3 KB", "1.2 GB" (1 KB = 1,024 B)."""
    amount = float(number or 0)
    for unit in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"
