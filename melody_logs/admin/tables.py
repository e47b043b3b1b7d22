"""Rows of a log as lines of a table: an outcome mark, who, what, where, and when."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import url_for

from ..vocabulary import Kind
from . import words
from .counted import is_total
from .countries import name_country
from .people import People
from .times import Moment, moment
from .visible_text import cut_end, cut_middle, reveal

_LONGEST_ADDRESS = 40
#: An IPv6 address beside a column more.
_SHORT_ADDRESS = 20
#: In a narrow page longer text may be cut by its column, so it is whole on hover.
_SURELY_SHOWN = 12
_LONGEST_LABEL = 32
_NOT_TOLD_APART = "Not told apart"
_LONGEST_PROSE = 72


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One cell; *title* is the whole text where *text* was cut, *style* is a class of the stylesheet.

    *url* leads elsewhere than the row does.
    """

    text: str
    title: str = ""
    style: str = ""
    code: str = ""
    url: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One row: *name* is its link text, *cells* stand under the columns after it."""

    url: str
    mark: words.Mark
    name: Cell
    cells: tuple[Cell, ...]
    when: Moment


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Lines under *columns*; the first column is the mark, the second the name, the last the time."""

    caption: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def present_rows(kind: Kind, rows: Sequence[Any], now: datetime, people: People) -> Table:
    """Make the table of *rows*, as they come from the queries; with a column of users where the host names them."""
    user = ("User",) if people.is_asked else ()
    if kind == "sign-in":
        columns: tuple[str, ...] = ("Outcome", "Who", *user, "How", "Location", "Address", "When")
        lines = tuple(_sign_in_line(row, now, people) for row in rows)
    else:
        subject = ("Subject",) if kind == "email" else ()
        columns = ("Status", "Receiver", *user, *subject, "Purpose", "Answer", "When")
        lines = tuple(_message_line(kind, row, now, people) for row in rows)
    return Table(f"{words.NOUNS[kind][1].capitalize()}, newest first", columns, lines)


def present_location(row: Any) -> Cell:
    """Say where a sign-in came from, or why that is not known."""
    if row.country:
        country = reveal(name_country(row.country))
        return Cell(
            reveal(row.city) if row.city else country,
            title=", ".join(reveal(part) for part in (row.city, row.region, country) if part),
            code=reveal(row.country),
        )
    reasons = {
        "pending": ("Being located", "The worker has not looked this address up yet"),
        "not_applicable": ("Private address", "Location unknown (private address)"),
        "not_found": ("Unknown", "Location unknown (address not in the database)"),
        "failed": ("Unknown", "Location unknown (looking it up failed)"),
    }
    if is_total(row):
        return Cell(_NOT_TOLD_APART, title="The row counts attempts from any network", style="muted")
    if not row.ip:
        return Cell("Unknown", title="Location unknown (no address)", style="muted")
    text, title = reasons.get(row.geo_state, ("Unknown", "Location unknown"))
    return Cell(text, title=title, style="muted")


def _sign_in_line(row: Any, now: datetime, people: People) -> Line:
    how = words.say(row.reason) or words.say(row.method)
    if row.event != "sign_in":
        how = f"{words.say(row.event)}: {how[:1].lower()}{how[1:]}" if how else words.say(row.event)
    return Line(
        url=url_for(".entry", kind="sign-in", row_id=row.id),
        mark=words.outcome_mark(row.outcome, row.folded_count),
        name=_name(row.identity, row.user_id, _NOT_TOLD_APART if is_total(row) else "No name given"),
        cells=(
            *_user(row, people),
            _prose(how),
            present_location(row),
            _address(row.ip, _SHORT_ADDRESS if people.is_asked else _LONGEST_ADDRESS),
        ),
        when=moment(row.occurred_at, now),
    )


def _message_line(kind: Kind, row: Any, now: datetime, people: People) -> Line:
    subject = (_prose(reveal(row.subject)),) if kind == "email" else ()
    return Line(
        url=url_for(".entry", kind=kind, row_id=row.id),
        mark=words.mark_of(words.STATUS_MARKS, row.status),
        name=_name(row.receiver, row.user_id, "No receiver"),
        cells=(*_user(row, people), *subject, _prose(words.say(row.purpose)), _prose(reveal(row.response))),
        when=moment(row.occurred_at, now),
    )


def _name(text: str | None, user_id: str | None, missing: str) -> Cell:
    if text:
        return _address(text)
    return _prose(f"User {reveal(user_id)}") if user_id else Cell(missing, style="muted")


def _user(row: Any, people: People) -> tuple[Cell, ...]:
    if not people.is_asked:
        return ()
    person = people.find(row.user_id)
    if person is None:
        return (_address(row.user_id),)
    return (Cell(cut_end(person.name, _LONGEST_LABEL), title=person.whole, url=person.url),)


def _address(text: str | None, longest: int = _LONGEST_ADDRESS) -> Cell:
    whole = reveal(text)
    shown = cut_middle(whole, longest)
    return Cell(shown, title=whole if len(whole) > _SURELY_SHOWN else "", style="mono")


def _prose(whole: str) -> Cell:
    shown = cut_end(whole, _LONGEST_PROSE)
    return Cell(shown, title=whole if len(whole) > _SURELY_SHOWN else "")
