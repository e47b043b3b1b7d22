"""``clean``, ``drain`` and ``locate``: what the worker does, by hand."""

from __future__ import annotations

import getpass
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import click
from flask.cli import with_appcontext
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..jobs.clean import JobRow, preview_clean, request_clean, work_on_job
from ..jobs.locate import locate_pending
from ..state import State, state_of
from ..vocabulary import KINDS, TITLES, Kind
from .output import console, explain_errors, print_line, show_time

_STEP_SECONDS = 1.0


if TYPE_CHECKING:
    AgeType = click.ParamType[timedelta]
else:  # no generic class before click 8.2
    AgeType = click.ParamType


class Age(AgeType):
    """An age such as ``30d`` or ``12h``."""

    name = "AGE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the text; anything but a positive whole number of days or hours is refused."""
        match = re.fullmatch(r"([1-9][0-9]{0,4})([dh])", str(value))
        if match is None:
            self.fail(f'"{value}" is not an age; accepted: days or hours such as 30d or 12h', param, ctx)
        number = int(match[1])
        return timedelta(days=number) if match[2] == "d" else timedelta(hours=number)


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--older-than", type=Age(), required=True, help="Age from which rows go, such as 30d.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
@explain_errors
def clean(kind: Kind, older_than: timedelta, dry_run: bool, yes: bool) -> None:
    """Delete the rows of a log that are older than an age, for good."""
    state = state_of()
    with state.database.read() as connection:
        cutoff = state.database.now(connection) - older_than
    preview = preview_clean(state.database, kind, cutoff)
    print_line(
        f"{TITLES[kind]}: {preview.rows:,} rows recorded before {show_time(cutoff)}"
        + (f", from {show_time(preview.oldest_at)} to {show_time(preview.newest_at)}" if preview.rows else "")
    )
    if dry_run or not preview.rows:
        print_line("Nothing was deleted.")
        return
    if not yes:
        click.confirm(f"Delete {preview.rows:,} rows? This cannot be undone", abort=True)
    job = request_clean(state.database, kind, cutoff, actor=f"command line ({getpass.getuser()})")
    if job.cutoff != cutoff:
        print_line(f"A clean-up of {TITLES[kind]} is under way already (job {job.id}); going on with that one.")
    job = _work_with_progress(state, job)
    if job.state == "failed":
        raise click.ClickException(f"job {job.id} failed: {job.error}")
    seconds = job.duration_milliseconds / 1000
    print_line(f"Deleted {job.done_rows:,} rows ({job.done_bytes / 1e6:,.1f} MB) in {seconds:.1f} s; job {job.id}.")


def _work_with_progress(state: State, job: JobRow) -> JobRow:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console()) as progress:
        bar = progress.add_task("Deleting", total=job.total_rows, completed=job.done_rows)
        while job.is_active:
            job = work_on_job(state.database, job.id, budget_seconds=_STEP_SECONDS)
            progress.update(bar, completed=job.done_rows)
    return job


@click.command()
@with_appcontext
@explain_errors
def drain() -> None:
    """Move everything that waits in the spool into the log tables."""
    moved = state_of().drain.run_once(include_live=True)
    print_line(f"Drained {moved:,} entries.")


@click.command()
@with_appcontext
@explain_errors
def locate() -> None:
    """Find the location of every sign-in that waits for one."""
    state = state_of()
    total = 0
    while located := locate_pending(state.database, state.locator, budget_seconds=_STEP_SECONDS):
        total += located
    print_line(f"Located {total:,} sign-ins.")
