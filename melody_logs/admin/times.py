"""Instants and spans in words: "3 min ago", "12 Mar 2026, 14:05:09 UTC", "2 min 5 s"."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE = 60
_HOUR = 3_600
_DAY = 86_400


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """An instant as a page shows it: *ago* in the text, *exact* on hover, *machine* in ``<time datetime>``."""

    ago: str
    exact: str
    machine: str


def moment(instant: datetime, now: datetime) -> Moment:
    """Put an aware *instant* into words as seen from *now*."""
    instant = instant.astimezone(UTC)
    return Moment(ago(instant, now), exact(instant), instant.isoformat().replace("+00:00", "Z"))


def ago(instant: datetime, now: datetime) -> str:
    """Say how long ago, in the largest unit that fits; from 30 days on, the date."""
    seconds = (now - instant).total_seconds()
    if seconds < -_MINUTE:
        return day(instant)
    if seconds < 5:
        return "just now"
    if seconds < _MINUTE:
        return f"{int(seconds)} s ago"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min ago"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h ago"
    days = int(seconds // _DAY)
    return f"{days} day{'s' if days > 1 else ''} ago" if days < 30 else day(instant)


def day(instant: datetime) -> str:
    """Write the UTC date without doubt about month and day."""
    instant = instant.astimezone(UTC)
    return f"{instant.day} {_MONTHS[instant.month - 1]} {instant.year:04d}"


def exact(instant: datetime) -> str:
    """Write date, time to the second, and the zone."""
    return f"{day(instant)}, {instant.astimezone(UTC):%H:%M:%S} UTC"


def span(seconds: float) -> str:
    """Write a length of time in at most two units."""
    if seconds < 1:
        return f"{max(round(seconds * 1000), 0)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole // _MINUTE, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
