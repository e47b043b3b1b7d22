"""Cursors: where a list goes on, as text that only we can make."""

from __future__ import annotations

import base64
import binascii
import hmac

from ..vocabulary import Kind

_MAC_BYTES = 16


class Cursors:
    """Makes and reads cursors. One made for a kind is no good for another, and none goes stale.

    :param key: 32 bytes of their own.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, kind: Kind, before_id: int) -> str:
        """Make the cursor of the rows of *kind* below *before_id*."""
        place = str(before_id).encode()
        return base64.urlsafe_b64encode(self._sign(kind, place) + place).rstrip(b"=").decode()

    def read(self, kind: Kind, text: str) -> int | None:
        """Read the id that a cursor goes on before; None if it is not one of ours for *kind*."""
        try:
            raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            return None
        mac, place = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        return int(place) if hmac.compare_digest(mac, self._sign(kind, place)) else None

    def _sign(self, kind: Kind, place: bytes) -> bytes:
        return hmac.digest(self._key, kind.encode() + b" " + place, "sha256")[:_MAC_BYTES]
