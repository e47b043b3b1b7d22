"""What a location file knows: places, countries or networks, told by its type or its name."""

from __future__ import annotations

#: In this order: a name such as "asn-country" is that of a table of countries.
_WORDS = (
    ("city", ("city", "enterprise", "location")),
    ("country", ("country",)),
    ("asn", ("asn", "isp")),
)


def kind_of(name: str) -> str | None:
    """Return ``city``, ``country`` or ``asn`` for the name of a file, type or edition; None if it says nothing."""
    lowered = name.lower()
    return next((kind for kind, words in _WORDS if any(word in lowered for word in words)), None)


def licence_of(name: str) -> str:
    """Say in a few words what the licence of a file of this type asks for; empty if it is not known."""
    lowered = name.lower()
    if lowered.startswith("bundled"):
        return "CC BY 4.0 (NRO), named in NOTICE"
    if lowered.startswith("dbip") and "lite" in lowered:
        return "CC BY 4.0: show a link to db-ip.com"
    if lowered.startswith("dbip"):
        return "your contract with DB-IP"
    if lowered.startswith("geolite2"):
        return "GeoLite licence: name MaxMind, replace within 30 days of a newer file"
    return "your contract with MaxMind" if lowered.startswith("geoip2") else ""
