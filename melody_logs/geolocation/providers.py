"""Who offers location files, at which address, and what an error answer means there.

Sources: MaxMind "Updating GeoIP and GeoLite databases" (permalinks, basic authentication, checksum files), DB-IP "Free
IP geolocation databases" (a file a month), as of 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from ipaddress import ip_address
from urllib.parse import quote, unquote, urlsplit

from ..errors import LocationUpdateError
from .kinds import kind_of

MAXMIND_ADDRESS = "https://download.maxmind.com"
DBIP_ADDRESS = "https://download.db-ip.com"
DEFAULT_EDITION = "GeoLite2-City"
DBIP_EDITIONS = ("city-lite", "country-lite", "asn-lite")

_MAXMIND_REMEDIES = {
    401: 'MaxMind does not know this account and key: check "MELODY_LOGS_MAXMIND_ACCOUNT_ID" and '
    '"MELODY_LOGS_MAXMIND_LICENSE_KEY"; a new key takes five minutes to work',
    403: "this account may not download that edition: look at its subscriptions at maxmind.com",
    404: "MaxMind has no such edition: name one such as GeoLite2-City, GeoLite2-Country or GeoLite2-ASN",
    429: "the account has used up its downloads of today: come back tomorrow, and update once a day at most",
}
_DBIP_REMEDIES = {
    404: "DB-IP has no file of that month: name another one with --month, such as 2026-10",
    429: "too many downloads from this address: come back later",
}
_OTHER_REMEDIES = {
    401: "the server asks for a name and a password: write them into the address, https://NAME:PASSWORD@…",
    403: "the server refuses this file: check the address and the rights on it",
    404: "there is no such file: check the address",
    429: "the server asks for fewer downloads: come back later",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A file that is offered for download."""

    #: Who offers it, in words: ``MaxMind``, ``DB-IP`` or the host's name.
    provider: str
    address: str
    #: Name and password, sent to the host of the address and to no other.
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    #: Where the SHA-256 of the download stands.
    checksum_address: str | None = None
    #: SHA-256 of the download or of the file in it, in hexadecimal.
    checksum: str | None = None
    #: ``city``, ``country`` or ``asn``; None where it is known by the file only.
    kind: str | None = None
    #: Where an earlier version lies, for the first days of a month.
    earlier_address: str | None = None
    remedies: Mapping[int, str] = field(default_factory=lambda: _OTHER_REMEDIES)


def offer_maxmind(
    account_id: str | None, license_key: str | None, *, edition: str = DEFAULT_EDITION, server: str = MAXMIND_ADDRESS
) -> Offer:
    """Name a file of MaxMind by its *edition*, such as ``GeoLite2-City``.

    :raise LocationUpdateError: without account and key.
    """
    if not account_id or not license_key:
        raise LocationUpdateError(
            'MaxMind asks for an account (free for GeoLite): set "MELODY_LOGS_MAXMIND_ACCOUNT_ID" and '
            '"MELODY_LOGS_MAXMIND_LICENSE_KEY", or take the file of DB-IP: --provider dbip'
        )
    base = f"{check_address(server)}/geoip/databases/{quote(edition, safe='')}/download?suffix=tar.gz"
    return Offer(
        provider="MaxMind",
        address=base,
        credentials=(account_id, license_key),
        checksum_address=f"{base}.sha256",
        kind=kind_of(edition),
        remedies=_MAXMIND_REMEDIES,
    )


def offer_dbip(
    today: date, *, edition: str = "city-lite", month: str | None = None, server: str = DBIP_ADDRESS
) -> Offer:
    """Name a free file of DB-IP: that of *month* (``2026-11``), else the newest one.

    :raise LocationUpdateError: if there is no such edition or month.
    """
    if edition not in DBIP_EDITIONS:
        raise LocationUpdateError(f'DB-IP has no free edition "{edition}"; accepted: {", ".join(DBIP_EDITIONS)}')
    if month is not None and not re.fullmatch("[0-9]{4}-(0[1-9]|1[0-2])", month):
        raise LocationUpdateError(f'"{month}" is no month; accepted: YYYY-MM such as 2026-10')
    start = f"{check_address(server)}/free/dbip-{edition}-"
    before = today.replace(day=1) - timedelta(days=1)
    return Offer(
        provider="DB-IP",
        address=f"{start}{month or f'{today:%Y-%m}'}.mmdb.gz",
        kind=kind_of(edition),
        # The file of a month comes in its first days.
        earlier_address=None if month else f"{start}{before:%Y-%m}.mmdb.gz",
        remedies=_DBIP_REMEDIES,
    )


def offer_address(address: str, *, checksum: str | None = None) -> Offer:
    """Name any file; a name and a password may stand in the address.

    :raise LocationUpdateError: if the address or the checksum is not accepted.
    """
    check_address(address)
    if checksum is not None and not re.fullmatch("[0-9A-Fa-f]{64}", checksum):
        raise LocationUpdateError(f'"{checksum[:80]}" is no SHA-256; accepted: 64 hexadecimal digits')
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    credentials = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return Offer(
        provider=host,
        address=parts._replace(netloc=host, fragment="").geturl(),
        credentials=credentials,
        checksum=checksum.lower() if checksum else None,
    )


def check_address(address: str) -> str:
    """Return *address* without slashes at its end, if it is https, or http to this machine.

    :raise LocationUpdateError: if it is not; the message shows neither name and password nor the query.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise LocationUpdateError("the address cannot be read; accepted: https://HOST/PATH") from None
    # Space and control characters would end a line of the request.
    is_plain = address.isascii() and address.isprintable() and " " not in address
    if not host or not is_plain or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise LocationUpdateError(f'the address "{show_address(address)}" is not accepted; accepted: https://HOST/PATH')
    return address.rstrip("/")


def is_loopback(host: str) -> bool:
    """Say whether *host* is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def show_address(address: str) -> str:
    """Write an address without what may be secret in it: name, password and query."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
