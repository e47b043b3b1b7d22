"""Many failures alike become one counted row a minute: the first ones are kept whole, the others are counted."""

from __future__ import annotations

import ipaddress
import json
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import uuid_utils

from ..vocabulary import MOST_SAMPLES
from .entries import Entry
from .forking import follow_forks, notice_fork

#: Above this many new rows of failures a second in a process, each further failure goes into a total row.
FLOOD_ROWS_PER_SECOND = 500
#: So many keys are told apart in a minute; failures of others go into a total row.
MOST_KEYS = 10_000
WINDOW_SECONDS = 60.0
_TOTAL_MARK = "flood:total"
_SAMPLED = ("ip", "identity", "user_agent", "reason", "method")
_write_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


#: What failures have in common that are counted together: event, network, and who.
_Key = tuple[str, str | int | None, str | None]


class FloodGuard:
    """Folds the sign-ins of one process that failed: the first of a key and minute are whole, the others counted.

    Each folded attempt is an entry of its own, which adds one to the counted row when it is written: so the count is
    as durable as any entry, and exact. What is kept here says only what is folded into which row, and goes at the next
    minute. Threads may share it; a forked child begins anew.

    :param whole_per_minute: how many of a key stay whole in a minute; 0 folds nothing.
    :param clock: seconds, never going back.
    """

    def __init__(self, whole_per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._whole_per_minute = whole_per_minute
        self._clock = clock
        self._start()
        follow_forks(self)

    def _start(self) -> None:
        # A signal handler may record while its thread is in here.
        self._lock = threading.RLock()
        self._minute = self._second = -1
        self._new_rows = 0
        #: How many of a key were whole, then its counted row.
        self._keys: dict[_Key, int | _CountedRow] = {}
        self._totals: dict[str, _CountedRow] = {}

    def fold(self, entry: Entry) -> Entry:
        """Return *entry* itself, or what it adds to a counted row: an entry with that row's event id.

        Only a failed sign-in is ever folded, and none that amends a row.
        """
        if entry.values.get("outcome") != "failure" or not self._whole_per_minute or entry.amends:
            return entry
        notice_fork()
        with self._lock:
            row = self._find_counted_row(entry.values)
            return entry if row is None else row.fold(entry)

    def forget(self, entry: Entry) -> None:
        """Let the next attempts of the row that *entry* adds to have samples again: it was not kept."""
        if "samples" not in entry.values:
            return
        with self._lock:
            for row in (self._keys.get(_key_of(entry.values)), self._totals.get(entry.values["event"])):
                if isinstance(row, _CountedRow) and row.event_id == entry.event_id:
                    row.sampled.clear()

    def _find_counted_row(self, values: dict[str, Any]) -> _CountedRow | None:
        """Find the row that a failure is counted in; None if it stays whole."""
        self._begin_windows()
        key = _key_of(values)
        found = self._keys.get(key, 0)
        if isinstance(found, _CountedRow):
            return found
        if self._new_rows >= FLOOD_ROWS_PER_SECOND or (not found and len(self._keys) >= MOST_KEYS):
            return self._totals.get(key[0]) or self._totals.setdefault(key[0], _CountedRow(is_total=True))
        self._new_rows += 1
        if found < self._whole_per_minute:
            self._keys[key] = found + 1
            return None
        row = self._keys[key] = _CountedRow(is_total=False)
        return row

    def _begin_windows(self) -> None:
        now = self._clock()
        if int(now) != self._second:
            self._second, self._new_rows = int(now), 0
        if int(now // WINDOW_SECONDS) != self._minute:
            self._minute, self._keys, self._totals = int(now // WINDOW_SECONDS), {}, {}

    def before_fork(self) -> None:
        """Wait for the threads that fold."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew: the parent's counted rows are the parent's."""
        self._start()


def _key_of(values: dict[str, Any]) -> _Key:
    # Without a key of hashes, or a name, the account is all there is to tell people apart.
    who = values.get("identity_hash") or values.get("identity") or values.get("user_id")
    return values["event"], network_of(values.get("ip")), who


class _CountedRow:
    """A row that failures of this minute are counted in, and which samples it has."""

    __slots__ = ("_is_total", "event_id", "sampled")

    def __init__(self, *, is_total: bool) -> None:
        self.event_id = str(uuid_utils.uuid7())
        self._is_total = is_total
        self.sampled: set[tuple[Any, ...]] = set()

    def fold(self, entry: Entry) -> Entry:
        """Make the entry that adds an attempt to this row: the first has its facts, and those that differ a sample.

        Each can make the row by itself, whichever is written first.
        """
        values = entry.values
        folded: dict[str, Any] = {name: values[name] for name in ("occurred_at", "event", "outcome")}
        if self._is_total:
            # They are of many people: who and where stands in the samples alone.
            folded["marks"] = _TOTAL_MARK
        if len(self.sampled) < MOST_SAMPLES and self._is_news(values):
            if not self._is_total:
                # The others that are counted have flows of their own.
                folded = {**values, "flow_id": None}
            folded["samples"] = _write_json([_make_sample(values)])
        folded["folded_count"] = 1
        return Entry(entry.kind, self.event_id, folded, amends=True)

    def _is_news(self, values: dict[str, Any]) -> bool:
        """Note what is told apart: in a total row who and where, else what else those of one key differ in."""
        names = ("ip", "identity_hash") if self._is_total else ("ip", "user_agent", "reason", "method")
        facets = tuple(values[name] for name in names)
        if facets in self.sampled:
            return False
        self.sampled.add(facets)
        return True


def network_of(ip: str | None) -> str | int | None:
    """Name the network that a canonical address is counted with: the /24 of IPv4, the /48 of IPv6.

    A smaller one costs an attacker nothing: addresses of these come together.
    """
    if ip is None:
        return None
    if ":" not in ip:
        return ip.rpartition(".")[0]
    return _network_of_ipv6(ip)


@lru_cache(maxsize=4096)
def _network_of_ipv6(ip: str) -> int:
    return int(ipaddress.IPv6Address(ip)) >> 80


def _make_sample(values: dict[str, Any]) -> dict[str, Any]:
    return {"occurred_at": values["occurred_at"].isoformat()} | {name: values[name] for name in _SAMPLED}
