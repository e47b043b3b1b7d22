"""The table of expected against measured."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .measuring import Result


def show_results(results: Sequence[Result], machine: str, console: Console) -> None:
    """Print a line for each bar, with the medians of the benchmark's sides beside its first one."""
    table = Table(title="Expected against measured", caption=machine, title_justify="left", caption_justify="left")
    table.add_column("benchmark", no_wrap=True)
    table.add_column("medians", overflow="fold")
    table.add_column("bar of", overflow="fold")
    for heading in ("expected", "measured"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for result in results:
        numbers = ", ".join(f"{side} {number:,.1f}" for side, number in result.medians.items())
        cells = (result.name, f"{numbers} {result.unit}".strip())
        if not result.verdicts:
            table.add_row(*cells, "", "", "", "[yellow]not measured" if result.notes else "")
        for verdict in result.verdicts:
            met = "[green]met" if verdict.met else "[red]not met"
            table.add_row(*cells, verdict.says, str(verdict.bar), f"{verdict.figure:.2f}", met)
            cells = ("", "")
    console.print(table)
    for result in results:
        for note in result.notes:
            console.print(f"{result.name}: {note}", soft_wrap=True)
