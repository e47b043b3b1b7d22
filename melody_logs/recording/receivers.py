"""The plain addresses among what libraries and hosts give as receivers: texts, pairs, lists of either."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import getaddresses
from itertools import islice

#: More are never read: a row keeps fewer.
MOST_RECEIVERS = 1000


def list_addresses(*given: object) -> list[str]:
    """List the addresses, each once, in their order and without display names; what is no address is left as it is.

    A pair is taken as name and address, as the mail libraries have it.
    """
    found = dict[str, None]()
    for text in islice(_texts(given), MOST_RECEIVERS):
        addresses = getaddresses([text]) if "<" in text or "," in text or '"' in text else [("", text.strip())]
        found.update(dict.fromkeys(address or text for _, address in addresses))
    return list(found)


def read_addresses(given: object) -> frozenset[str]:
    """Give the addresses in a form in which they can be compared."""
    return frozenset(address.casefold() for address in list_addresses(given))


def _texts(given: object) -> Iterable[str]:
    if isinstance(given, tuple) and len(given) == 2 and _is_pair(given):
        yield str(given[1])
    elif isinstance(given, str | bytes):
        yield given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)
    elif isinstance(given, Iterable):
        for each in given:
            yield from _texts(each)
    elif given is not None:
        yield str(given)


def _is_pair(given: tuple[object, ...]) -> bool:
    name, address = given
    return isinstance(address, str) and "@" in address and not (isinstance(name, str) and "@" in name)
