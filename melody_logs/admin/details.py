"""One row in full: its fields in groups, named in words, each with what was done to it before it was written."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime
from typing import Any

from ..vocabulary import Kind
from . import words
from .counted import is_total
from .countries import name_country
from .people import People
from .tables import present_location
from .times import exact, moment
from .visible_text import reveal, reveal_lines

_DEEDS = {
    "cut": "cut to the size limit",
    "redacted": "secrets were replaced before it was stored",
    "withheld": "withheld: secrets could not be removed safely, or the spool was nearly full",
    "masked": "masked before it was stored",
    "hashed": "only a keyed hash was kept",
    "cleaned": "characters that cannot be stored were replaced",
    "decoded": "given as bytes, read as UTF-8",
    "unreadable": "what was given could not be turned into text",
    "invalid": "what was given was not usable and was left out",
    "failed": "the host's function failed, the entry was kept as it was",
    "suspect": "the host's clock and the database's differ by more than five minutes",
    "total": "counts failures of any name and network, beyond those that are told apart",
    "nearly_full": "more than three quarters full, so the body was left out",
    "imported": "taken over from a Melody Auth database",
    "forwarded": "a proxy named another client, whom the app does not ask for: see flask melody-logs doctor",
    "few_hops": "a proxy named another client, but fewer proxies than ProxyFix expects: see flask melody-logs doctor",
    "other_header": "a proxy named another client in a header that ProxyFix does not read",
    "direct": "the request came past the proxy that ProxyFix expects",
    "mapped": "came as IPv4 inside IPv6",
    "zone": "came with an IPv6 zone, which was left out",
}
#: How many proxies there were.
_NUMBER = re.compile(r"_[0-9]+")


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A name and its value, a link to *url*; *style* is ``mono`` for codes, ``lines`` for text of several lines."""

    name: str
    value: str
    style: str = ""
    notes: tuple[str, ...] = ()
    mark: words.Mark | None = None
    url: str = ""

    @property
    def can_copy(self) -> bool:
        """Offer to copy what is a code or an address."""
        return self.style == "mono" and bool(self.value)


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Fields under a heading."""

    title: str
    fields: tuple[Field, ...]


def present_entry(kind: Kind, row: Any, now: datetime, people: People) -> tuple[Group, ...]:
    """Group every field of *row*."""
    notes = _Notes(row.marks)
    if kind == "sign-in":
        who = _sign_in_who(row, notes, people)
        groups = (_sign_in_happened(row, now, notes), who, _where(row, notes), _device(row, notes))
    else:
        groups = (
            _message_happened(row, now, notes),
            _message_who(row, notes, people),
            _message(kind, row, notes),
            _provider(row, notes),
        )
    return (*groups, _record(row, notes))


def explain_marks(marks: str | None) -> dict[str, tuple[str, ...]]:
    """Read marks such as ``content:cut content:redacted`` as notes by field."""
    notes: dict[str, tuple[str, ...]] = {}
    for mark in (marks or "").split():
        field, _, deed = mark.partition(":")
        notes[field] = (*notes.get(field, ()), _DEEDS.get(_NUMBER.sub("", deed), words.say(deed).lower() or "changed"))
    return notes


class _Notes:
    """The notes of a row; knows which were told beside a field, so that the rest can be told too."""

    def __init__(self, marks: str | None) -> None:
        self._by_field = explain_marks(marks)
        self._told: set[str] = set()

    def about(self, *columns: str) -> tuple[str, ...]:
        """Tell the notes about *columns*."""
        self._told.update(columns)
        return tuple(note for column in columns for note in self._by_field.get(column, ()))

    def rest(self) -> tuple[str, ...]:
        """Tell what no field told, such as that the host's transform failed."""
        rest = (item for item in self._by_field.items() if item[0] not in self._told)
        return tuple(f"{words.say(name)}: {note}" for name, about in rest for note in about)


def _field(name: str, row: Any, column: str, notes: _Notes, style: str = "") -> Field:
    value = getattr(row, column)
    text = reveal_lines(value) if style == "lines" else reveal(value)
    return Field(name, text, style, notes.about(column))


def _outcome(row: Any) -> words.Mark:
    return words.outcome_mark(row.outcome, row.folded_count)


def _status(row: Any) -> words.Mark:
    return words.mark_of(words.STATUS_MARKS, row.status)


def _happened_at(row: Any, now: datetime, notes: _Notes) -> Field:
    return Field("When", _say_moment(row.occurred_at, now), notes=notes.about("occurred_at"))


def _say_moment(instant: datetime, now: datetime) -> str:
    when = moment(instant, now)
    return f"{when.exact} ({when.ago})" if when.ago not in when.exact else when.exact


def _attempts_happened(row: Any, now: datetime, notes: _Notes) -> tuple[Field, ...]:
    """Say when an attempt was, or how many a counted row stands for, and when the first and last were."""
    if row.folded_count is None:
        return (_happened_at(row, now, notes),)
    whose = "" if is_total(row) else "; the other facts are those of the first"
    return (
        Field("Attempts", f"{row.folded_count:,}{whose}"),
        Field("First", _say_moment(row.occurred_at, now), notes=notes.about("occurred_at")),
        Field("Last", _say_moment(row.last_at or row.occurred_at, now)),
    )


def _sign_in_happened(row: Any, now: datetime, notes: _Notes) -> Group:
    return Group(
        "What happened",
        (
            Field("Outcome", "", notes=notes.about("outcome", "success"), mark=_outcome(row)),
            Field("Event", words.say(row.event), notes=notes.about("event")),
            Field("Reason", words.say(row.reason), notes=notes.about("reason")),
            Field("Method", words.say(row.method), notes=notes.about("method")),
            *_attempts_happened(row, now, notes),
        ),
    )


def _sign_in_who(row: Any, notes: _Notes, people: People) -> Group:
    # Anybody can type anybody's name: who it belongs to has not been part of it.
    is_claimed = row.outcome != "success" and not row.user_id
    name = "Identity as typed, not verified" if is_claimed else "Identity as typed"
    return Group(
        "Who",
        (
            _field(name, row, "identity", notes, "mono"),
            *_user(row, people),
            _field("User id", row, "user_id", notes, "mono"),
            _field("Identity hash", row, "identity_hash", notes, "mono"),
        ),
    )


def _user(row: Any, people: People) -> tuple[Field, ...]:
    person = people.find(row.user_id)
    return (Field("User", person.name, url=person.url),) if person else ()


def _where(row: Any, notes: _Notes) -> Group:
    location = present_location(row)
    country = reveal(f"{name_country(row.country)} ({row.country})") if row.country else ""
    region = " ".join(reveal(part) for part in (row.region, row.region_code and f"({row.region_code})") if part)
    point = f"{row.latitude:.4f}°, {row.longitude:.4f}°" if None not in (row.latitude, row.longitude) else ""
    network = " ".join(part for part in (row.asn and f"AS{row.asn}", reveal(row.as_org)) if part)
    return Group(
        "Where",
        (
            _field("Address", row, "ip", notes, "mono"),
            Field("Location", location.title or location.text),
            Field("Country", country),
            Field("Continent", reveal(row.continent)),
            Field("Region", region),
            Field("City", reveal(row.city)),
            Field("Time zone", reveal(row.timezone)),
            Field("Latitude, longitude", point, "mono"),
            Field("Network", network),
            Field("Location found by", _found_by(row)),
        ),
    )


def _found_by(row: Any) -> str:
    attempts = f" after {row.geo_attempts} attempts" if row.geo_attempts > 1 else ""
    return f"{reveal(row.geo_source)}{attempts}" if row.geo_source else words.say(row.geo_state) + attempts


def _device(row: Any, notes: _Notes) -> Group:
    return Group(
        "Device",
        (
            _field("User agent", row, "user_agent", notes),
            _field("Came from", row, "referrer", notes),
            _field("Endpoint", row, "endpoint", notes, "mono"),
        ),
    )


def _message_happened(row: Any, now: datetime, notes: _Notes) -> Group:
    return Group(
        "What happened",
        (
            Field("Status", "", notes=notes.about("status", "success"), mark=_status(row)),
            Field("Purpose", words.say(row.purpose), notes=notes.about("purpose")),
            _happened_at(row, now, notes),
            _field("Endpoint", row, "endpoint", notes, "mono"),
        ),
    )


def _message_who(row: Any, notes: _Notes, people: People) -> Group:
    return Group(
        "Who",
        (
            _field("Receiver", row, "receiver", notes, "mono"),
            *_user(row, people),
            _field("User id", row, "user_id", notes, "mono"),
        ),
    )


def _message(kind: Kind, row: Any, notes: _Notes) -> Group:
    subject = (_field("Subject", row, "subject", notes),) if kind == "email" or row.subject else ()
    return Group(
        "Message",
        (
            *subject,
            _field("Template", row, "template", notes, "mono"),
            _field("Type", row, "content_type", notes, "mono"),
            Field("Length as sent", words.size(row.content_bytes), notes=notes.about("content")),
        ),
    )


def _provider(row: Any, notes: _Notes) -> Group:
    return Group(
        "Provider",
        (
            _field("Provider", row, "provider", notes),
            _field("Message id", row, "provider_message_id", notes, "mono"),
            _field("Answer", row, "response", notes, "lines"),
        ),
    )


def _record(row: Any, notes: _Notes) -> Group:
    return Group(
        "Record",
        (
            Field("Id", str(row.id), "mono"),
            _field("Event id", row, "event_id", notes, "mono"),
            _field("Request id", row, "request_id", notes, "mono"),
            _field("Flow id", row, "flow_id", notes, "mono"),
            Field("Recorded", exact(row.recorded_at)),
            Field("Last changed", f"{exact(row.updated_at)} (version {row.version})"),
            Field("Position", f"{row.position:,}"),
            Field("Stored size", words.size(row.stored_bytes)),
            Field("Marks", reveal(row.marks), "mono", notes.rest()),
        ),
    )
