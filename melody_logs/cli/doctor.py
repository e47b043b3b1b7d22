"""``flask melody-logs doctor``: what of the app is recorded, and what leaves no trace."""

from __future__ import annotations

import json

import click
from flask import current_app
from flask.cli import with_appcontext
from rich.table import Table

from ..coverage import Coverage, Remark, describe_coverage, examine
from ..vocabulary import TITLES
from .output import console, explain_errors, print_line, visible

_MARKS = {"note": "[cyan]i note[/]", "warning": "[yellow]! look[/]"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
@with_appcontext
@explain_errors
def doctor(as_json: bool) -> None:
    """Say what is recorded and what leaves no trace; the exit code is 1 if something does."""
    # The app itself: what stands in an integration may outlive the proxy.
    coverage = examine(current_app._get_current_object())  # type: ignore[attr-defined]
    if as_json:
        print_line(json.dumps(describe_coverage(coverage), indent=2))
    else:
        _print(coverage)
    if not coverage.well:
        raise click.exceptions.Exit(1)


def _print(coverage: Coverage) -> None:
    titles = {str(kind): title for kind, title in TITLES.items()}
    print_line("Logs: " + ", ".join(f"{titles[kind]} {'on' if on else 'off'}" for kind, on in coverage.kinds.items()))
    if coverage.connected:
        table = Table(box=None, pad_edge=False)
        for title in ("Connected", "Version", "How", "Records"):
            table.add_column(title, overflow="fold")
        for one in coverage.connected:
            how = "asked for" if one.is_asked else "found"
            table.add_row(visible(one.name), visible(one.version), how, visible(one.records))
        console().print(table)
    else:
        print_line("Connected: no library")
    for remark in coverage.remarks:
        _print_remark(remark)
    if coverage.well:
        print_line("Nothing that leaves no trace was found.")


def _print_remark(remark: Remark) -> None:
    out = console()
    out.print(f"\n{_MARKS[remark.level]} {visible(remark.name)}: {visible(remark.text)}")
    if remark.evidence:
        out.print(f"  seen: {visible(remark.evidence)}")
    # Code stands at the beginning of its line, ready to be copied.
    remedy, _, code = remark.remedy.partition("\n")
    if remedy:
        out.print(f"  do:   {visible(remedy)}")
    for line in code.splitlines():
        out.print(visible(line))
