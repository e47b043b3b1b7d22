"""Events of SendGrid: JSON lists, signed with ECDSA over time and body.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features and
https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ..recording.reports import build_report
from ..storage.deliveries import DeliveryReport
from .callback import Callback, forged, malformed, moment_of, text_of

_SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
_TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
_MACHINE = re.compile(r"\.(?:filter|recvd)")
_STATUSES = {
    "processed": "accepted",
    "deferred": "deferred",
    "delivered": "delivered",
    "bounce": "bounced",
    "dropped": "failed",
    "spamreport": "complained",
}


class SendGrid:
    """Takes calls that are signed by one of *public_keys*."""

    name = "sendgrid"

    def __init__(self, public_keys: Sequence[str]) -> None:
        self._keys: list[Any] = [load_der_public_key(base64.b64decode(key)) for key in public_keys]

    def read(self, callback: Callback) -> list[DeliveryReport | None]:
        """Check a call and read its events; what is not about delivery is left out."""
        signature, timestamp = callback.headers.get(_SIGNATURE), callback.headers.get(_TIMESTAMP)
        if not signature or not timestamp:
            raise forged(f"the headers {_SIGNATURE} and {_TIMESTAMP} are missing")
        if not self._is_signed(timestamp.encode("utf-8", "replace") + callback.body, signature):
            raise forged('the signature is wrong: "MELODY_LOGS_SENDGRID_PUBLIC_KEY" is not that of the webhook')
        events = callback.read_json()
        if not isinstance(events, list):
            raise malformed("the body is not a list of events")
        return [self._read_event(event) for event in events if isinstance(event, dict)]

    def _is_signed(self, payload: bytes, signature: str) -> bool:
        try:
            decoded = base64.b64decode(signature, validate=True)
        except ValueError:
            return False
        for key in self._keys:
            try:
                key.verify(decoded, payload, ec.ECDSA(hashes.SHA256()))
                return True
            except InvalidSignature:
                continue
        return False

    def _read_event(self, event: dict[str, Any]) -> DeliveryReport | None:
        word, number = event.get("event"), event.get("sg_message_id")
        status = _STATUSES.get(word) if isinstance(word, str) else None
        if status is None or not isinstance(number, str):
            return None
        return build_report(
            "email",
            self.name,
            provider_message_id=_message_id_of(number),
            status=status,
            occurred_at=moment_of(event.get("timestamp")),
            detail=text_of(event.get("type"), event.get("reason") or event.get("response")),
            # All messages of one call have one id.
            receiver=email if isinstance(email := event.get("email"), str) and email else None,
        )


def _message_id_of(number: str) -> str:
    """Give the ``X-Message-Id`` of SendGrid's answer, which may have dots; it adds its machine and a number."""
    found = _MACHINE.search(number)
    return number[: found.start()] if found else number.partition(".")[0]
