"""Webhooks of Postmark: JSON objects. Postmark signs nothing; its calls bring the credentials of their address.

https://postmarkapp.com/developer/webhooks/webhooks-overview and https://postmarkapp.com/developer/api/bounce-api
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence

from ..recording.reports import build_report
from ..storage.deliveries import DeliveryReport
from .callback import Callback, forged, moment_of, text_of

#: Bounces after which the message may still arrive, or that are no answer of its mailbox at all.
_SOFT_BOUNCES = frozenset(
    {"SoftBounce", "Transient", "AutoResponder", "AddressChange", "ChallengeVerification", "OpenRelayTest"}
    | {"Subscribe", "Unsubscribe", "VirusNotification"}
)


class Postmark:
    """Takes calls that bring one of *credentials*, each ``user:password``."""

    name = "postmark"

    def __init__(self, credentials: Sequence[str]) -> None:
        self._credentials = [each.encode() for each in credentials]

    def read(self, callback: Callback) -> list[DeliveryReport | None]:
        """Check a call and read its report."""
        scheme, _, given = callback.headers.get("Authorization", "").partition(" ")
        try:
            decoded = base64.b64decode(given.strip(), validate=True) if scheme.lower() == "basic" else b""
        except ValueError:
            decoded = b""
        # All are compared, whichever is right.
        if not any([hmac.compare_digest(decoded, known) for known in self._credentials]):
            raise forged('the credentials are not those of "MELODY_LOGS_POSTMARK_CREDENTIALS"')
        body = callback.read_object()
        record, kind = body.get("RecordType"), body.get("Type")
        occurred_at, detail = body.get("BouncedAt"), text_of(kind, body.get("Details") or body.get("Description"))
        if record == "Delivery":
            status, occurred_at, detail = "delivered", body.get("DeliveredAt"), text_of(body.get("Details"))
        elif record == "SpamComplaint" or (record == "Bounce" and kind == "SpamComplaint"):
            status = "complained"
        elif record == "Bounce":
            status = "deferred" if isinstance(kind, str) and kind in _SOFT_BOUNCES else "bounced"
        else:
            return []
        return [
            build_report(
                "email",
                self.name,
                provider_message_id=body.get("MessageID"),
                status=status,
                occurred_at=moment_of(occurred_at),
                detail=detail,
            )
        ]
