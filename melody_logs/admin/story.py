"""The story beside a row: what else belongs to its flow, in the order in which it happened, as a line of time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from flask import url_for

from ..state import state_of
from ..storage.stories import MOST_ENTRIES, Story, read_story
from ..vocabulary import MESSAGE_KINDS, Kind
from . import words
from .rendering import enabled_kinds
from .times import Moment, moment, span
from .visible_text import cut_end, cut_middle, reveal

_ENTRY = ("id", "event_id", "occurred_at")
_MESSAGE = (*_ENTRY, "status", "receiver", "purpose", "delivery")
_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "email": _MESSAGE,
    "sms": _MESSAGE,
    "sign-in": (*_ENTRY, "event", "outcome", "reason", "method", "identity", "ip", "folded_count"),
}
_NOUNS: dict[Kind, str] = {"email": "Email", "sms": "Text message"}
#: Reports of one message; a provider may repeat itself.
_MOST_REPORTS = 10
_LONGEST_ADDRESS = 36
_LONGEST_DETAIL = 120


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One point of the line: an entry, linked unless it is the row at hand, or what was reported of a message."""

    mark: words.Mark
    title: str
    details: tuple[str, ...]
    url: str
    is_current: bool
    when: Moment
    #: How long after the step before: "+12 s"; empty for the first.
    later: str


@dataclasses.dataclass(frozen=True, slots=True)
class StoryView:
    """The line of a story, and in a sentence what it shows."""

    summary: str
    steps: tuple[Step, ...]


class _Point(NamedTuple):
    at: datetime
    mark: words.Mark
    title: str
    what: str
    #: Whom and where from: said again only where it changes.
    parties: tuple[str, ...]
    kind: Kind
    row_id: int
    is_entry: bool


def present_story(kind: Kind, row: Any, now: datetime) -> StoryView | None:
    """Tell the story that *row* belongs to; None if nothing but the row itself is known."""
    state = state_of()
    kinds = {one: _COLUMNS[one] for one in enabled_kinds()}
    story = read_story(state.database, row.flow_id, kinds) if row.flow_id else Story()
    entries = list(story.entries)
    if all((one, entry.id) != (kind, row.id) for one, entry in entries):
        # It has no flow, or stands beyond the end of a long one.
        entries.append((kind, row))
    points = sorted((point for one, entry in entries for point in _points_of(one, entry)), key=lambda point: point.at)
    if len(points) < 2:
        return None
    return StoryView(_say_what(story, entries), tuple(_steps(points, kind, row.id, now)))


def _say_what(story: Story, entries: list[tuple[Kind, Any]]) -> str:
    if not story.is_complete:
        return f"The first {MOST_ENTRIES} entries of this flow; there are more."
    if len(entries) == 1:
        return "What was reported of this message."
    return f"{len(entries)} entries of one flow, the first on top."


def _steps(points: list[_Point], kind: Kind, row_id: int, now: datetime) -> Iterator[Step]:
    before: datetime | None = None
    said: tuple[str, ...] = ()
    for point in points:
        is_current = point.is_entry and (point.kind, point.row_id) == (kind, row_id)
        url = "" if is_current or not point.is_entry else url_for(".entry", kind=point.kind, row_id=point.row_id)
        later = "" if before is None else f"+{_say_span((point.at - before).total_seconds())}"
        details = tuple(text for text in (point.what, *point.parties) if text and text not in said)
        yield Step(point.mark, point.title, details, url, is_current, moment(point.at, now), later)
        before, said = point.at, point.parties or said


def _say_span(seconds: float) -> str:
    # Tenths say nothing here.
    return f"{round(seconds)} s" if 1 <= seconds < 10 else span(seconds)


def _points_of(kind: Kind, row: Any) -> Iterable[_Point]:
    if kind in MESSAGE_KINDS:
        reports = tuple(_reports_of(kind, row))
        # What became of it later is told by the reports.
        mark = words.mark_of(words.STATUS_MARKS, "sent" if reports else row.status)
        whom = (_address(row.receiver),)
        yield _Point(row.occurred_at, mark, _NOUNS[kind], words.say(row.purpose), whom, kind, row.id, True)
        yield from reports
        return
    mark = words.outcome_mark(row.outcome, row.folded_count)
    how = words.say(row.reason) or words.say(row.method)
    parties = (_address(row.identity), reveal(row.ip))
    yield _Point(row.occurred_at, mark, words.say(row.event), how, parties, kind, row.id, True)


def _address(text: str | None) -> str:
    return cut_middle(reveal(text), _LONGEST_ADDRESS)


def _reports_of(kind: Kind, row: Any) -> Iterator[_Point]:
    """Read the delivery history of a message; a report that cannot be read is left out."""
    for report in _read_reports(row.delivery)[:_MOST_REPORTS]:
        try:
            at = datetime.fromisoformat(report["occurred_at"])
            status = str(report["status"])
        except (KeyError, TypeError, ValueError):
            continue
        detail = cut_end(reveal(report.get("detail")), _LONGEST_DETAIL)
        mark = words.mark_of(words.STATUS_MARKS, status)
        # The provider's clock may be behind ours: nothing is reported before it was sent.
        at = max(row.occurred_at, at if at.tzinfo else at.replace(tzinfo=UTC))
        yield _Point(at, mark, f"{_NOUNS[kind]}, as reported", detail, (), kind, row.id, False)


def _read_reports(stored: str | None) -> list[Any]:
    try:
        reports = json.loads(stored or "[]")
    except ValueError:
        return []
    return reports if isinstance(reports, list) else []
