"""``flask melody-logs health``: is everything well, and if not, what helps."""

from __future__ import annotations

import json

import click
from flask.cli import with_appcontext
from rich.table import Table

from ..health import check_health, describe_health
from ..state import state_of
from .output import console, explain_errors, print_line, show_time, visible

_MARKS = {"good": "[green]✓ well[/]", "warning": "[yellow]! look[/]", "bad": "[red]✗ bad[/]"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
@with_appcontext
@explain_errors
def health(as_json: bool) -> None:
    """Say what is well and what is not; the exit code is 1 if something is bad."""
    result = check_health(state_of())
    if as_json:
        print_line(json.dumps(describe_health(result), indent=2))
    else:
        table = Table(box=None, pad_edge=False)
        for title in ("", "What", "State", "Remedy"):
            table.add_column(title, overflow="fold")
        for finding in result.findings:
            since = f" (since {show_time(finding.since)})" if finding.since else ""
            table.add_row(_MARKS[finding.level], finding.name, visible(finding.text + since), visible(finding.remedy))
        console().print(table)
    if not result.well:
        raise click.exceptions.Exit(1)
