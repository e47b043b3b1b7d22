"""Keys of our own, derived from ``MELODY_LOGS_KEY`` or the host's ``SECRET_KEY``."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive_key(secret: str | bytes, purpose: str) -> bytes:
    """Derive 32 bytes for one purpose from *secret* (HKDF, RFC 5869): the key of one use says nothing of another's."""
    material = secret.encode() if isinstance(secret, str) else secret
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"melody_logs {purpose}".encode()).derive(material)
