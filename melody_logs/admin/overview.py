"""The first page: is something wrong, and what happened last, kind by kind."""

from __future__ import annotations

import dataclasses

from ..health import check_health
from ..jobs.clean import list_jobs
from ..settings import Settings
from ..state import state_of
from ..storage.queries import page_by_number
from ..vocabulary import TITLES, Kind
from . import words
from .cleanups import JobLine, present_jobs
from .notices import Banner, make_banners
from .people import actor_id_of, find_people, user_id_of
from .rendering import database_now, enabled_kinds, render
from .tables import Table, present_rows

ROWS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """The newest rows of a kind."""

    kind: Kind
    title: str
    count: str
    #: What the link to the whole list says.
    more: str
    retention: str
    table: Table


def show_overview() -> str:
    """A section with the newest rows of each enabled kind, what is wrong, and the last clean-ups."""
    state = state_of()
    now = database_now(state.database)
    pages = {
        kind: page_by_number(state.database, kind, page_number=1, page_size=ROWS, with_content=False)
        for kind in enabled_kinds()
    }
    newest_jobs = list_jobs(state.database, limit=3)
    # One question for the whole page, whatever stands on it.
    people = find_people(
        [*(user_id_of(row) for page in pages.values() for row in page.rows), *map(actor_id_of, newest_jobs)]
    )
    sections = [
        Section(
            kind,
            TITLES[kind],
            words.count(kind, page.count),
            f"All {words.count(kind, page.count)}" if page.count > 1 else "The whole list",
            describe_retention(state.settings, kind),
            present_rows(kind, page.rows, now, people),
        )
        for kind, page in pages.items()
    ]
    banners: tuple[Banner, ...] = make_banners(check_health(state), now)
    jobs: tuple[JobLine, ...] = present_jobs(newest_jobs, now, people)
    return render(
        "overview.html",
        page_title="Overview",
        sections=sections,
        banners=banners,
        jobs=jobs,
        clean_age=words.days(state.settings.clean_days),
    )


def describe_retention(settings: Settings, kind: Kind) -> str:
    """Say how long rows of *kind* are kept."""
    for policy in settings.retention:
        if policy.kind == kind:
            return f"kept {words.days(policy.days)}"
    return "kept until cleaned by hand"
