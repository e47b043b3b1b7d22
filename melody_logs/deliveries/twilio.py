"""Status callbacks of Twilio: forms with a keyed hash over address and fields.

https://www.twilio.com/docs/usage/webhooks/webhooks-security and
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections import defaultdict
from collections.abc import Sequence
from urllib.parse import urlsplit

from ..recording.reports import build_report
from ..storage.deliveries import DeliveryReport
from .callback import Callback, forged, text_of

_SIGNATURE = "X-Twilio-Signature"
#: Names the algorithm where the call is signed with a shared key and not with the account's token.
_SIGNATURE_SETTINGS = "X-Twilio-Webhooks-Signature-Settings"
_STATUSES = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending"), "accepted"),
    "sent": "sent",
    **dict.fromkeys(("delivered", "read"), "delivered"),
    **dict.fromkeys(("undelivered", "failed", "canceled"), "failed"),
}


class Twilio:
    """Takes calls that are signed with one of *tokens*."""

    name = "twilio"

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = [token.encode() for token in tokens]

    def read(self, callback: Callback) -> list[DeliveryReport | None]:
        """Check a call and read its report: Twilio sends one, and tells no time."""
        signature = callback.headers.get(_SIGNATURE, "")
        if not signature:
            raise forged(f"the header {_SIGNATURE} is missing")
        pairs = callback.read_form()
        if not self._is_signed(callback, pairs, signature):
            raise forged(
                'the signature is wrong: "MELODY_LOGS_TWILIO_AUTH_TOKEN" is not that of the account, or Twilio calls '
                'another address than the app sees: set "MELODY_LOGS_PUBLIC_URL"'
            )
        fields = dict(pairs)
        status = _STATUSES.get(fields.get("MessageStatus") or fields.get("SmsStatus") or "")
        if status is None:
            return []
        sid = fields.get("MessageSid") or fields.get("SmsSid")
        detail = text_of(fields.get("ErrorCode"), fields.get("ErrorMessage")) if status == "failed" else None
        return [build_report("sms", self.name, provider_message_id=sid, status=status, detail=detail)]

    def _is_signed(self, callback: Callback, pairs: list[tuple[str, str]], signature: str) -> bool:
        values: dict[str, set[str]] = defaultdict(set)
        for name, value in pairs:
            values[name].add(value)
        fields = "".join(name + value for name in sorted(values) for value in sorted(values[name]))
        is_strong = "algorithm=HMAC_SHA256" in callback.headers.get(_SIGNATURE_SETTINGS, "").replace(" ", "").split(",")
        algorithm = hashlib.sha256 if is_strong else hashlib.sha1
        given = signature.encode("utf-8", "replace")
        # All are compared, whichever is right.
        return any(
            [
                hmac.compare_digest(base64.b64encode(hmac.digest(token, (url + fields).encode(), algorithm)), given)
                for token in self._tokens
                for url in _spellings(callback.url)
            ]
        )


def _spellings(url: str) -> tuple[str, str]:
    """Write an address without and with its port: Twilio signs either."""
    split = urlsplit(url)
    bare = re.sub(r":[0-9]+$", "", split.netloc)
    port = split.netloc[len(bare) :] or (":443" if split.scheme == "https" else ":80")
    rest = url.partition("://")[2][len(split.netloc) :]
    return f"{split.scheme}://{bare}{rest}", f"{split.scheme}://{bare}{port}{rest}"
