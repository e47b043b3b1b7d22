"""Webhooks of Mailgun: JSON objects with a keyed hash over a time and a token, but not over the event.

So a hash that somebody saw would prove any other event: it is taken for an hour, and each token for one body only.
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from ..recording.reports import build_report
from ..storage.deliveries import DeliveryReport
from .callback import Callback, forged, moment_of, part, text_of

#: Mailgun may be late with a call.
FRESH_SECONDS = 3_600
_MOST_TOKENS = 20_000
_STATUSES = {
    "accepted": "accepted",
    "delivered": "delivered",
    "rejected": "failed",
    "complained": "complained",
}


class Mailgun:
    """Takes calls that are signed with one of *keys*."""

    name = "mailgun"

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]
        self._lock = threading.Lock()
        self._bodies: OrderedDict[str, bytes] = OrderedDict()

    def read(self, callback: Callback) -> list[DeliveryReport | None]:
        """Check a call and read its event."""
        body = callback.read_object()
        self._check(body.get("signature"), callback.body)
        event = body.get("event-data")
        status = _status_of(event)
        if status is None:
            return []
        answer = part(event, "delivery-status")
        words = text_of(part(answer, "code"), part(answer, "message") or part(answer, "description"))
        return [
            build_report(
                "email",
                self.name,
                provider_message_id=part(event, "message", "headers", "message-id"),
                status=status,
                occurred_at=moment_of(part(event, "timestamp")),
                detail=text_of(part(event, "reason"), words),
            )
        ]

    def _check(self, proof: Any, body: bytes) -> None:
        texts = [part(proof, name) for name in ("timestamp", "token")]
        timestamp, token = (str(text) if isinstance(text, str | int) else "" for text in texts)
        if not re.fullmatch("[0-9]{1,12}", timestamp) or not re.fullmatch("[!-~]{1,100}", token):
            raise forged("the call is not signed")
        # That of a subaccount's event is its own; the other is by the key of the account above it.
        given = [part(proof, name) for name in ("signature", "parent-signature")]
        signatures = [each.encode("utf-8", "replace") for each in given if isinstance(each, str)]
        expected = [hmac.new(key, f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest() for key in self._keys]
        if not any([hmac.compare_digest(right.encode(), each) for right in expected for each in signatures]):
            raise forged('the signature is wrong: "MELODY_LOGS_MAILGUN_SIGNING_KEY" is not that of the account')
        if abs(time.time() - int(timestamp)) > FRESH_SECONDS:
            raise forged("the signature is older than an hour, or this host's clock is off")
        if not self._is_first_body(token, hashlib.sha256(body).digest()):
            raise forged("the signature was used for another event")

    def _is_first_body(self, token: str, digest: bytes) -> bool:
        """Say whether a token came with no other body; Mailgun repeats a call as it was."""
        with self._lock:
            known = self._bodies.setdefault(token, digest)
            while len(self._bodies) > _MOST_TOKENS:
                self._bodies.popitem(last=False)
        return known == digest


def _status_of(event: object) -> str | None:
    word = part(event, "event")
    if word != "failed":
        return _STATUSES.get(word) if isinstance(word, str) else None
    if part(event, "severity") == "temporary":
        return "deferred"
    # What Mailgun does not even try, because the address bounced before, never left.
    is_suppressed = str(part(event, "reason")).startswith("suppress")
    return "failed" if is_suppressed else "bounced"
