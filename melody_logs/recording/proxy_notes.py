"""What a request tells about the proxies before the app: words that become marks of its row, for the doctor to read.

Nothing of the headers themselves is kept, and none of it changes the address that is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The app does not read the header that names the client: ``forwarded_1``, with the number of addresses in it.
FORWARDED = "forwarded"
#: The app's ProxyFix expects more addresses than there are in it, or none.
FEW_HOPS = "few_hops"
#: The proxy speaks ``Forwarded`` (RFC 7239), which ProxyFix does not read.
OTHER_HEADER = "other_header"
#: The app expects a proxy, and the request came past it.
DIRECT = "direct"
MAPPED = "mapped"
ZONE = "zone"
MOST_HOPS = 5
#: Where werkzeug's ProxyFix keeps what it replaced.
_FIXED = "werkzeug.proxy_fix.orig"


def note_proxies(environ: Mapping[str, Any], address: str | None) -> tuple[str, ...]:
    """Give the words for a request whose address is *address*; none where nothing stands out."""
    forwarded = environ.get("HTTP_X_FORWARDED_FOR")
    is_fixed = _FIXED in environ
    notes: list[str] = []
    if forwarded:
        hops = [hop.strip() for hop in forwarded.split(",")]
        if address not in hops:
            notes.append(f"{FEW_HOPS if is_fixed else FORWARDED}_{min(len(hops), MOST_HOPS)}")
    elif is_fixed:
        notes.append(DIRECT)
    elif "HTTP_FORWARDED" in environ:
        notes.append(OTHER_HEADER)
    if address and ":" in address:
        if address[:7].lower() == "::ffff:":
            notes.append(MAPPED)
        if "%" in address:
            notes.append(ZONE)
    return tuple(notes)
