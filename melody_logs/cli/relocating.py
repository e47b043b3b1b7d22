"""``flask melody-logs relocate``: older sign-ins get what a better location file knows."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask.cli import with_appcontext
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..jobs.locate import locate_pending
from ..jobs.relocate import Relocation, count_between, set_back
from ..state import State, state_of
from .output import console, explain_errors, print_line, show_time

_STEP_SECONDS = 1.0
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@click.option("--since", type=_MOMENT, required=True, help="Sign-ins recorded from this day or moment (UTC) on.")
@click.option("--until", type=_MOMENT, help="Only those recorded before this day or moment (UTC). [default: now]")
@click.option("--only-approximate", is_flag=True, help="Only those that the bundled country table located.")
@click.option("--source", metavar="TEXT", help='Only those whose source has this text, such as "City 2026-01".')
@click.option("--now", "at_once", is_flag=True, help="Look them up here and now, not by the workers.")
@with_appcontext
@explain_errors
def relocate(
    since: datetime, until: datetime | None, only_approximate: bool, source: str | None, at_once: bool
) -> None:
    """Look again where sign-ins came from, by the location files of today; nothing is lost that these do not know."""
    if only_approximate and source is not None:
        raise click.UsageError("--only-approximate and --source exclude each other: use one.")
    state = state_of()
    start = since.replace(tzinfo=UTC)
    end = until.replace(tzinfo=UTC) if until else _now(state)
    if end <= start:
        raise click.UsageError(f"--until must lie after --since ({show_time(start)}).")
    done = _set_back(state, start, end, "(approximate)" if only_approximate else source)
    print_line(f"Looked through {done.scanned:,} sign-ins; {done.set_back:,} wait for a new look at their location.")
    if at_once:
        print_line(f"Located {_locate(state, done.set_back):,} sign-ins.")
    elif done.set_back:
        print_line("The workers see to them. Without one: flask melody-logs locate")


def _now(state: State) -> datetime:
    with state.database.read() as connection:
        return state.database.now(connection)


def _set_back(state: State, since: datetime, until: datetime, source: str | None) -> Relocation:
    with _progress() as progress:
        bar = progress.add_task("Looking through", total=count_between(state.database, since, until))

        def show(done: Relocation) -> None:
            progress.update(bar, completed=done.scanned)

        return set_back(state.database, state.locator, since=since, until=until, source=source, on_progress=show)


def _locate(state: State, expected: int) -> int:
    total = 0
    with _progress() as progress:
        bar = progress.add_task("Locating", total=expected)
        while located := locate_pending(state.database, state.locator, budget_seconds=_STEP_SECONDS):
            total += located
            progress.update(bar, completed=total, total=max(expected, total))
    return total


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console(), transient=True)
