"""Calls as each provider makes them, with its proof."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twilio.request_validator import RequestValidator

TWILIO_TOKEN = "twilio-token-0123456789abcdef"
POSTMARK = "postmark:a-long:password"
MAILGUN_KEY = "key-0123456789abcdef"
_SENDGRID_PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())


def public_key_text(key: ec.EllipticCurvePrivateKey = _SENDGRID_PRIVATE_KEY) -> str:
    """Write the public half as SendGrid shows it."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def twilio_headers(url: str, fields: dict[str, str], *, token: str = TWILIO_TOKEN, strong: bool = False) -> Any:
    """Sign a form with Twilio's own library."""
    algorithm = "HMAC_SHA256" if strong else None
    signature = RequestValidator(token).compute_signature(url, fields, algorithm)
    more = {"X-Twilio-Webhooks-Signature-Settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"}
    return {"X-Twilio-Signature": signature} | (more if strong else {})


def sendgrid_call(body: Any, *, key: ec.EllipticCurvePrivateKey = _SENDGRID_PRIVATE_KEY) -> dict[str, Any]:
    """Sign a list of events."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    timestamp = str(int(time.time()))
    signature = key.sign(timestamp.encode() + content, ec.ECDSA(hashes.SHA256()))
    headers = {
        "Content-Type": "application/json",
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }
    return {"content": content, "headers": headers}


def mailgun_call(
    event: Any, *, key: str = MAILGUN_KEY, token: str | None = None, age: float = 0, parent: bool = False
) -> dict[str, Any]:
    """Sign an event."""
    token, timestamp = token or uuid.uuid4().hex, str(int(time.time() - age))
    signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    proof = {"timestamp": timestamp, "token": token, "signature": signature}
    if parent:
        proof |= {"signature": "0" * 64, "parent-signature": signature}
    return {"json": {"signature": proof, "event-data": event}}
