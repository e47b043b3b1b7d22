"""Whether the addresses of the newest sign-ins can be those of people, and what ProxyFix needs if they are not."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from ..recording import proxy_notes
from ..recording.addresses import is_public_address
from ..storage.recent_rows import RecentRows
from .networks import name_network
from .remarks import Remark

#: Less says nothing.
FEWEST_ROWS = 3
#: A stranger can forge what stands in a row or two of his own.
LARGE_SHARE = 0.5
#: So many accounts from one address are no household.
MANY_ACCOUNTS = 5
ONE_ADDRESS_SHARE = 0.9
_MOST_LAYERS = 20
#: The address of machines beside the app, which its proxy may be too.
_FEW_PRIVATE = 3


def examine_addresses(app: Flask, recent: RecentRows | None) -> Iterator[Remark]:
    """Judge the addresses of the newest sign-ins, and the notes that were made of the proxies before them."""
    rows = [row for row in recent.sign_ins if row.ip] if recent else []
    if len(rows) < FEWEST_ROWS:
        return
    notes = [_notes_of(row) for row in rows]
    wrong = list(_examine_headers(app, notes))
    yield from wrong
    if not wrong:
        yield from _examine_origins(app, rows)
    yield from _examine_forms(notes)


def proxy_fix_lines(hops: int) -> str:
    """Write the lines that let werkzeug believe exactly *hops* proxies."""
    fix = f"app.wsgi_app = ProxyFix(app.wsgi_app, x_for={hops}, x_proto=1, x_host=1)"
    return f"from werkzeug.middleware.proxy_fix import ProxyFix\n{fix}"


def find_proxy_fix(app: Flask) -> ProxyFix | None:
    """Find the ProxyFix around *app*; None if there is none, or it stands outside of the app, in a WSGI file."""
    layer: Any = app.wsgi_app
    for _ in range(_MOST_LAYERS):
        if isinstance(layer, ProxyFix):
            return layer
        layer = getattr(layer, "app", None) or getattr(layer, "wsgi_app", None)
        if layer is None:
            return None
    return None


def _notes_of(row: Any) -> frozenset[str]:
    marks = (row.marks or "").split()
    return frozenset(mark.removeprefix("ip:") for mark in marks if mark.startswith("ip:"))


def _examine_headers(app: Flask, notes: list[frozenset[str]]) -> Iterator[Remark]:
    """Find headers that nobody reads, and proxies that are expected and not there."""
    for word, text in (
        (proxy_notes.FORWARDED, "a proxy names the client in X-Forwarded-For, and the app records the proxy's address"),
        (proxy_notes.FEW_HOPS, "ProxyFix expects more proxies than there are: a client can choose its own address"),
    ):
        count, hops = _count_hops(notes, word)
        if _is_large(count, notes):
            evidence = f"{_share(count, notes)} came with {hops} address{'es' if hops > 1 else ''} in that header"
            yield Remark("Proxy", text, f"{evidence}, none of them used", _believe(hops, _trusted(app)))
    if _is_large(count := sum(proxy_notes.OTHER_HEADER in one for one in notes), notes):
        remedy = f"let the proxy send X-Forwarded-For too, then:\n{proxy_fix_lines(1)}"
        text = "a proxy names the client in the header Forwarded, which ProxyFix does not read"
        yield Remark("Proxy", text, f"{_share(count, notes)} came with that header alone", remedy)
    trusted = _trusted(app)
    if trusted != 0 and _is_large(count := sum(proxy_notes.DIRECT in one for one in notes), notes):
        remedy = "if there is no proxy, remove ProxyFix; if there is, let nobody reach the app past it"
        text = "ProxyFix believes a header that no proxy sends: a client can choose its own address"
        yield Remark("Proxy", text, f"{_share(count, notes)} came without X-Forwarded-For", remedy)


def _examine_origins(app: Flask, rows: list[Any]) -> Iterator[Remark]:
    """Find addresses that cannot be those of people: of a delivery network, or one for all."""
    networks = Counter(filter(None, (name_network(row.ip) for row in rows)))
    for name, count in networks.most_common(1):
        if _is_large(count, rows):
            believed = _trusted(app)
            hops = 1 if believed is None else believed + 1
            evidence = f"{_share(count, rows)} have an address of {name}"
            text = f"the recorded addresses are those of {name}, not of people"
            yield Remark("Proxy", text, evidence, _believe(hops, believed))
            return
    addresses = Counter(row.ip for row in rows)
    address, count = addresses.most_common(1)[0]
    accounts = {row.identity_hash or row.user_id for row in rows if row.ip == address} - {None}
    private = [one for one in addresses if not is_public_address(one)]
    if count / len(rows) >= ONE_ADDRESS_SHARE and len(accounts) >= MANY_ACCOUNTS:
        kind = _kind_of(address)
        evidence = f"{_share(count, rows)}, of {len(accounts)} accounts, have the address {address}{kind}"
        yield Remark("Proxy", "nearly all sign-ins seem to come from one address", evidence, _name_client(app))
    elif len(private) == len(addresses):
        if len(private) <= _FEW_PRIVATE and len({row.identity_hash or row.user_id for row in rows}) >= MANY_ACCOUNTS:
            evidence = f"all of the newest {len(rows):,} have one of: {', '.join(sorted(private))}"
            yield Remark(
                "Proxy", "all sign-ins seem to come from a few machines beside the app", evidence, _name_client(app)
            )
        else:
            evidence = f"all of the newest {len(rows):,}"
            text = "all sign-ins have private addresses, which have no location"
            remedy = "right in a private network or in development; behind a proxy, let it send X-Forwarded-For"
            yield Remark("Proxy", text, evidence, remedy, "note")


def _examine_forms(notes: list[frozenset[str]]) -> Iterator[Remark]:
    """Say which forms of addresses came that were changed before they were recorded."""
    for word, text in (
        (proxy_notes.MAPPED, "IPv4 addresses come inside IPv6 (::ffff:…)"),
        (proxy_notes.ZONE, "IPv6 addresses come with a zone (%eth0)"),
    ):
        if count := sum(word in one for one in notes):
            remedy = "recorded in their plain form; a limiter or block list of your own must know both forms"
            yield Remark("Addresses", text, _share(count, notes), remedy, "note")


def _believe(hops: int, believed: int | None) -> str:
    instead = "in the place of the ProxyFix that is there, believe" if believed else "believe"
    proxies = "one proxy" if hops == 1 else f"{hops} proxies"
    return f"{instead} {proxies} (or as many as stand before the app):\n{proxy_fix_lines(hops)}"


def _name_client(app: Flask) -> str:
    believed = _trusted(app)
    return f"if a proxy stands before the app, let it send X-Forwarded-For; then {_believe(believed or 1, believed)}"


def _trusted(app: Flask) -> int | None:
    """Say how many proxies the app believes; None if its ProxyFix cannot be seen from here."""
    fix = find_proxy_fix(app)
    return None if fix is None else int(fix.x_for)


def _count_hops(notes: list[frozenset[str]], word: str) -> tuple[int, int]:
    """Count the rows with *word*, and give the fewest hops of a good share: a client can only add some."""
    hops = Counter(int(note.rpartition("_")[2]) for one in notes for note in one if note.rpartition("_")[0] == word)
    total = hops.total()
    usual = [number for number, count in hops.items() if count >= total / 10]
    return total, min(usual, default=1)


def _kind_of(address: str) -> str:
    parsed = ipaddress.ip_address(address)
    return " (this machine)" if parsed.is_loopback else "" if is_public_address(address) else " (private)"


def _is_large(count: int, of: list[Any]) -> bool:
    return count >= FEWEST_ROWS and count / len(of) >= LARGE_SHARE


def _share(count: int, of: list[Any]) -> str:
    return f"{count:,} of the newest {len(of):,} sign-ins"
