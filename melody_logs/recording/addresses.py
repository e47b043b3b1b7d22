"""Client addresses: one canonical text for each, nothing for what is no address."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

#: Longer than any address with brackets, scope and port; a longer text is not looked at.
_LONGEST_TEXT = 128
_BRACKETED = re.compile(r"\[([^\[\]]+)\](?::[0-9]{1,5})?")
_DOTTED_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}")


def canonical_address(value: object) -> str | None:
    """Return an IP address in its canonical text (RFC 5952 for IPv6), at most 45 characters, or None; never raises.

    IPv4-mapped IPv6 becomes IPv4; scope, brackets and port are dropped. Shorthand such as ``127.1`` or ``0x7f.1``,
    lists of addresses and socket paths are no address.
    """
    kind = type(value)
    if kind is str:
        text: str = value  # type: ignore[assignment]
    elif issubclass(kind, str):
        text = str.__str__(value)
    elif kind is bytes:
        text = value.decode("ascii", "replace")  # type: ignore[attr-defined]
    elif kind in (ipaddress.IPv4Address, ipaddress.IPv6Address):
        text = str(value)
    else:
        return None
    return _canonical(text) if len(text) <= _LONGEST_TEXT else None


@lru_cache(maxsize=4096)
def is_public_address(address: str) -> bool:
    """Say whether a canonical address may have a place on the map: globally reachable and not multicast."""
    parsed = ipaddress.ip_address(address)
    return parsed.is_global and not parsed.is_multicast


@lru_cache(maxsize=4096)
def _canonical(text: str) -> str | None:
    text = text.strip()
    match = _BRACKETED.fullmatch(text)
    if match is not None:
        if ":" not in match[1]:
            return None
        text = match[1]
    else:
        match = _DOTTED_WITH_PORT.fullmatch(text)
        if match is not None:
            text = match[1]
    address, _, scope = text.partition("%")
    if scope and ":" not in address:
        return None
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(parsed)
