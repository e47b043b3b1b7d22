"""``flask melody-logs import ...``: the logs of another system."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC

import click
from flask.cli import with_appcontext
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ..jobs.import_melody import ImportPlan, ImportReceipt, plan_import, run_import
from ..recording.imported import text_limits
from ..state import State, state_of
from ..storage.melody_auth import MelodyAuthDatabase
from ..vocabulary import KINDS, TITLES, Kind
from .output import console, explain_errors, print_line, visible


@click.group("import", help="Take over the logs of another system.")
def import_group() -> None:
    """Group the commands by the system to import from."""


@import_group.command("melody")
@click.option(
    "--database-url",
    required=True,
    envvar="MELODY_IMPORT_DATABASE_URL",
    show_envvar=True,
    help="postgresql://user:PASSWORD@host/name or sqlite:///path/of/file.db.",
)
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Only this log; repeatable.")
@click.option("--dry-run", is_flag=True, help="Only count what there is.")
@with_appcontext
@explain_errors
def melody_command(database_url: str, kinds: tuple[Kind, ...], dry_run: bool) -> None:
    """Import the log tables of a Melody Auth database; what an earlier run imported is left out."""
    state = state_of()
    chosen = [kind for kind in KINDS if kind in kinds or not kinds]
    with closing(MelodyAuthDatabase(database_url, text_limits=text_limits(state.settings))) as source:
        source.check(chosen)
        plans = [plan_import(state.database, source, kind) for kind in chosen]
        if source.time_zone is not UTC:
            print_line(f"Times of the source are read in its time zone, {source.time_zone}.")
        if dry_run:
            _show_plans(plans)
            print_line("Nothing was imported.")
            return
        receipts = _import_with_progress(state, source, plans)
    _show_receipts(receipts)
    if not any(receipt.read for receipt in receipts):
        print_line("There is nothing new since the last import.")


class _RowsPerSecond(ProgressColumn):
    """The speed of a task since its start."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed / task.elapsed:,.0f} rows/s" if task.elapsed and task.completed else "")


def _import_with_progress(state: State, source: MelodyAuthDatabase, plans: Sequence[ImportPlan]) -> list[ImportReceipt]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _RowsPerSecond())
    receipts = []
    is_idle = not any(plan.new for plan in plans)
    with Progress(*columns, TimeRemainingColumn(), console=console(), disable=is_idle) as progress:
        for plan in plans:
            bar = progress.add_task(TITLES[plan.kind], total=plan.new, visible=plan.new > 0)

            def show(receipt: ImportReceipt, bar: TaskID = bar) -> None:
                progress.update(bar, completed=receipt.read)

            receipts.append(run_import(state.database, source, plan, state.settings, state.seams, on_progress=show))
            progress.stop_task(bar)
    return receipts


def _show_plans(plans: Sequence[ImportPlan]) -> None:
    table = _table("In the source", "Imported before", "Deleted there", "To import")
    for plan in plans:
        numbers = plan.new + plan.passed, plan.passed, plan.new_deleted, plan.new - plan.new_deleted
        table.add_row(TITLES[plan.kind], *(f"{number:,}" for number in numbers))
    console().print(table)


def _show_receipts(receipts: Sequence[ImportReceipt]) -> None:
    table = _table("Read", "Imported", "Already there", "Deleted there", "Excluded", "Set aside")
    for receipt in receipts:
        numbers = (
            *(receipt.read, receipt.imported, receipt.already_there),
            *(receipt.deleted, receipt.excluded, receipt.set_aside),
        )
        table.add_row(TITLES[receipt.kind], *(f"{number:,}" for number in numbers))
    console().print(table)
    if any(receipt.may_lack_rows for receipt in receipts):
        print_line(
            "A transaction of the source stayed open for longer than we wait: what it adds below the last id that was "
            "imported is never seen. Stop Melody Auth before the last import."
        )
    for receipt in receipts:
        for row in receipt.set_aside_rows:
            console().print(f"{TITLES[receipt.kind]}: row {row.id} was set aside: {visible(row.reason)}")
        unnamed = receipt.set_aside - len(receipt.set_aside_rows)
        if unnamed:
            print_line(f"{TITLES[receipt.kind]}: {unnamed:,} more were set aside.")


def _table(*titles: str) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("Log", no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    return table
