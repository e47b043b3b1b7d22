"""From an address to a place, with the files that the owner gave or the bundled country table."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from socket import AF_INET, inet_pton

from ..errors import GeolocationUnavailableError
from .databases import BUNDLED_TABLE, DatabaseFile, DatabaseInfo, Opened
from .location import NOT_APPLICABLE, Location, Lookup
from .records import merge, read_record
from .values import SOURCE_LIMIT

__all__ = ["DatabaseInfo", "Location", "Locator", "Lookup"]

_REMEMBERED_ADDRESSES = 4096
#: First octets of IPv4 without any special-purpose network (IANA registry, RFC 6890) or multicast.
_ALL_PUBLIC = frozenset(range(1, 224)) - {10, 100, 127, 169, 172, 192, 198, 203}


class Locator:
    """Finds places; one for an app, for any number of threads, and still good after a fork.

    *paths* are MMDB files (City, Country, ASN, in any mix): their answers are merged, the most detailed first. They are
    opened at the first look-up and looked at again at most once in *check_interval_seconds*.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]] = (), *, check_interval_seconds: float = 1.0) -> None:
        self._files = [DatabaseFile(path) for path in paths or (BUNDLED_TABLE,)]
        self._check_interval_seconds = check_interval_seconds
        self._lock = threading.Lock()
        self._next_check = 0.0
        self._answers: _Answers | None = None
        _locators.add(self)

    def locate(self, ip: str | None) -> Lookup:
        """Find the place of an address; text that is no address, or no public one, is ``not_applicable``.

        :raise GeolocationUnavailableError: if a configured file cannot be read and no earlier version is at hand.
        """
        public = _public_address(ip) if ip else None
        if public is None:
            return NOT_APPLICABLE
        answers = self._answers
        if answers is None or time.monotonic() >= self._next_check:
            answers = self._refresh()
        return answers.find(public)

    def describe(self) -> list[DatabaseInfo]:
        """Say for each file what it is, how old, and what is wrong with it; never raises."""
        with self._lock:
            if self._answers is not None:
                self._refresh_files()
            return [file.describe() for file in self._files]

    def _refresh(self) -> _Answers:
        # Who already has answers does not wait for the thread that reads a new file.
        at_hand = self._answers
        if not self._lock.acquire(blocking=at_hand is None) and at_hand is not None:
            return at_hand
        try:
            if time.monotonic() >= self._next_check:
                self._refresh_files()
            answers = self._answers
            if answers is None:
                wrong = "; ".join(file.error for file in self._files if file.error)
                raise GeolocationUnavailableError(
                    f"{wrong}. Put the file back, or correct MELODY_LOGS_GEOIP_DATABASE; sign-ins wait until then."
                )
            return answers
        finally:
            self._lock.release()

    def _refresh_files(self) -> None:
        for file in self._files:
            file.refresh()
        self._next_check = time.monotonic() + self._check_interval_seconds
        opened = tuple(file.opened for file in self._files if file.opened)
        if len(opened) == len(self._files) and (self._answers is None or self._answers.opened != opened):
            self._answers = _Answers(opened)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()


class _Answers:
    """The look-ups in one set of open files, with a memory of the addresses asked last."""

    def __init__(self, opened: tuple[Opened, ...]) -> None:
        self.opened = opened
        self._by_detail = sorted(opened, key=lambda one: "country" in one.type.lower())
        self._not_found = Lookup("not_found", None, _join(self._by_detail))
        self.find = lru_cache(_REMEMBERED_ADDRESSES)(self._find_in_one if len(opened) == 1 else self._find_in_all)

    def _find_in_one(self, address: str) -> Lookup:
        one = self.opened[0]
        location = read_record(one.get(address))
        return self._not_found if location is None else Lookup("done", location, one.source)

    def _find_in_all(self, address: str) -> Lookup:
        found: Location | None = None
        answered: list[Opened] = []
        for one in self._by_detail:
            location = read_record(one.get(address))
            if location is not None:
                found = location if found is None else merge(found, location)
                answered.append(one)
        return self._not_found if found is None else Lookup("done", found, _join(answered))


def _join(opened: Sequence[Opened]) -> str:
    return " + ".join(one.source for one in opened)[:SOURCE_LIMIT]


def _public_address(ip: str) -> str | None:
    """Return a globally reachable unicast address in the text that readers take, else None."""
    # `is_global` costs as much as the look-up itself; most addresses need only their first octet looked at.
    try:
        first_octet = inet_pton(AF_INET, ip)[0]
    except (OSError, ValueError):
        first_octet = 0  # not IPv4 in its plain form: `ip_address` decides
    if first_octet in _ALL_PUBLIC:
        return ip
    try:
        address = ip_address(ip.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if not address.is_global or address.is_multicast or address.is_reserved:
        return None
    return str(address).partition("%")[0]


_locators: weakref.WeakSet[Locator] = weakref.WeakSet()


def _renew_locks() -> None:
    # A thread that held the lock at the fork does not exist in the child, and would hold it there for ever.
    for locator in list(_locators):
        locator._renew_lock()


os.register_at_fork(after_in_child=_renew_locks)
