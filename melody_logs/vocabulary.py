"""The words that the wire, the tables and the code share."""

from typing import Literal

Kind = Literal["email", "sms", "sign-in"]
KINDS: tuple[Kind, ...] = ("email", "sms", "sign-in")
MESSAGE_KINDS: tuple[Kind, ...] = ("email", "sms")
TITLES: dict[Kind, str] = {"email": "Email", "sms": "SMS", "sign-in": "Sign-ins"}

EVENTS = ("sign_in", "sign_out", "token_refresh", "password_reset", "password_change", "recovery")
OUTCOMES = ("success", "failure", "challenge", "blocked")
REASONS = (
    "wrong_password",
    "unknown_account",
    "inactive_account",
    "locked_account",
    "wrong_code",
    "expired_code",
    "missing_code",
    "rate_limited",
    "provider_error",
)
METHODS = ("password", "otp", "sms_code", "email_code", "magic_link", "passkey", "recovery_code", "saml", "token")

#: Message statuses with the rank of their phase: a later entry never takes a row to a lower rank.
STATUS_RANK = {
    "pending": 0,
    "unknown": 1,
    "accepted": 2,
    "sent": 3,
    "suppressed": 3,
    "failed": 3,
    "delivered": 4,
    "bounced": 4,
    "complained": 5,
}
SUCCESS_STATUSES = ("accepted", "sent", "suppressed", "delivered")

#: What a provider reports later, by how much it says; with the words above a report goes before the caller's word.
REPORT_RANK = {"deferred": 0, "accepted": 2, "sent": 3, "delivered": 4, "failed": 5, "bounced": 6, "complained": 7}

#: The mark of an entry whose time is not to be trusted.
SUSPECT_TIME = "occurred_at:suspect"

#: A counted row of sign-ins has at most so many examples of what it counts.
MOST_SAMPLES = 5

#: States of a sign-in's location. ``failed`` rows have none, nor have ``pending`` ones unless they are looked at again.
GEO_STATES = ("pending", "done", "not_applicable", "not_found", "failed")

PERMISSIONS = ("read", "write")
SCOPES = ("root", "read_log", "write_log")
