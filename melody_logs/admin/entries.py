"""The full list of a kind, in numbered pages, and one row of it with all its fields."""

from __future__ import annotations

from flask import abort, request, url_for

from ..state import state_of
from ..storage.queries import Filters, find, page_by_number
from ..vocabulary import MESSAGE_KINDS, TITLES, Kind
from . import words
from .addresses import read_row_id, require_enabled
from .counted import present_samples
from .deliveries import present_reports
from .details import present_entry
from .message_body import present_body
from .overview import describe_retention
from .paging import PAGE_SIZES, PageRequest, Pagination
from .people import find_people, user_id_of
from .rendering import database_now, render
from .story import present_story
from .tables import present_rows


def show_entries(kind: Kind) -> str:
    """A numbered page of rows, newest first; for sign-ins, ``event=all`` adds sign-outs and the rest."""
    require_enabled(kind)
    database = state_of().database
    asked = PageRequest.read(request.args)
    event = _read_event(kind)
    filters = Filters(events=None) if event else Filters()
    page = page_by_number(
        database, kind, page_number=asked.number, page_size=asked.size, filters=filters, with_content=False
    )
    pagination = Pagination(asked.number, asked.size, page.count)
    if asked.number > pagination.last:
        # The rows of a page far down may have been cleaned meanwhile: show the last page there is.
        pagination = Pagination(pagination.last, asked.size, page.count)
        page = page_by_number(
            database, kind, page_number=pagination.last, page_size=asked.size, filters=filters, with_content=False
        )
    settings = state_of().settings
    return render(
        "entries.html",
        "_entries.html",
        page_title=TITLES[kind],
        kind=kind,
        title=TITLES[kind],
        count=_say_count(kind, event, page.count),
        event=event,
        has_events=kind == "sign-in",
        table=present_rows(kind, page.rows, database_now(database), find_people(map(user_id_of, page.rows))),
        pagination=pagination,
        page_sizes=PAGE_SIZES,
        retention=describe_retention(settings, kind),
        clean_age=words.days(settings.clean_days),
    )


def show_entry(kind: Kind, row_id: str) -> str:
    """Every field of one row, and of a message its body in the sandboxed viewer."""
    require_enabled(kind)
    database = state_of().database
    row = find(database, kind, read_row_id(row_id))
    if row is None:
        abort(404)
    now = database_now(database)
    is_message = kind in MESSAGE_KINDS
    people = find_people([user_id_of(row)])
    groups = present_entry(kind, row, now, people)
    heading = f"{words.NOUNS[kind][0].capitalize()} {row.id}"
    return render(
        "entry.html",
        page_title=heading,
        kind=kind,
        title=TITLES[kind],
        row_id=row.id,
        event_id=row.event_id,
        user_id=user_id_of(row),
        heading=heading,
        line=present_rows(kind, [row], now, people).lines[0],
        groups=groups,
        story=present_story(kind, row, now),
        samples=() if is_message else present_samples(row, now),
        reports=present_reports(row, now) if is_message else (),
        body=present_body(row, request.args.get("view")) if is_message else None,
        body_url=url_for(".message_body", kind=kind, row_id=row.id) if is_message else "",
    )


def _read_event(kind: Kind) -> str:
    event = request.args.get("event", "")
    if event and (event != "all" or kind != "sign-in"):
        abort(400, '"event" accepts "all", on the list of sign-ins.')
    return event


def _say_count(kind: Kind, event: str, number: int) -> str:
    return f"{number:,} event{'' if number == 1 else 's'}" if event else words.count(kind, number)
