"""Draws what a run found: each figure against its bar, on a logarithmic scale, as an SVG for light and dark pages."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

#: A figure is drawn as a multiple of its bar: left of 1 it is better than it must be.
SMALLEST, LARGEST = 0.01, 10.0
_NAME_WIDTH, _CHART_WIDTH, _FIGURE_WIDTH = 390, 420, 150
_ROW_HEIGHT, _TOP, _BOTTOM = 22, 34, 12
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.quiet { fill: #59636e; }
.met { fill: #2da44e; }
.missed { fill: #cf222e; }
.grid { stroke: #d0d7de; }
.bar { stroke: #24292f; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .met { fill: #3fb950; }
  .missed { fill: #f85149; }
  .grid { stroke: #3d444d; }
  .bar { stroke: #e6edf3; }
}
"""


class Figure(NamedTuple):
    """A line of the drawing; *multiple* is of the bar, above 1 where it is missed."""

    name: str
    text: str
    multiple: float
    met: bool


def read_results(lines: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines; the newest line of each benchmark counts."""
    newest = {}
    for line in lines.read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        newest[result["name"]] = result
    return list(newest.values())


def write_plot(lines: Path, drawing: Path) -> None:
    """Draw the newest result of each benchmark in a file of JSON lines."""
    figures = [figure for result in read_results(lines) for figure in _figures(result)]
    drawing.write_text(draw(figures), encoding="utf-8")


def make_table(lines: Path) -> str:
    """Make the table of the documentation from the same lines, in Markdown."""
    rows = ["| benchmark | medians | bar of | expected | measured | |", "|---|---|---|---:|---:|---|"]
    for result in read_results(lines):
        sides = ", ".join(f"{side} {_shorten(number)}" for side, number in result["medians"].items())
        cells = f"`{result['name']}` | {sides} {result['unit']}".strip()
        for verdict in result["bars"]:
            met = "met" if verdict["met"] else "**not met**"
            rows.append(f"| {cells} | {verdict['of']} | {verdict['bar']} | {_shorten(verdict['measured'])} | {met} |")
            cells = " | "
        if not result["bars"]:
            rows.append(f"| {cells} | | | | {'; '.join(result['notes'])} |")
    return "\n".join(rows)


def draw(figures: list[Figure]) -> str:
    """Make the SVG of some figures."""
    width = _NAME_WIDTH + _CHART_WIDTH + _FIGURE_WIDTH
    height = _TOP + _ROW_HEIGHT * len(figures) + _BOTTOM
    title = "Measured against the bar: what ends left of the line at 1 meets it"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{title}">',
        f"<title>{title}</title><style>{_STYLE}</style>",
    ]
    for mark in (0.01, 0.1, 1, 10):
        x = _x(mark)
        style = "bar" if mark == 1 else "grid"
        parts.append(f'<line class="{style}" x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{height - _BOTTOM}"/>')
        label = "the bar" if mark == 1 else f"{mark:g} of it"
        parts.append(f'<text class="quiet" x="{x}" y="{_TOP - 14}" text-anchor="middle">{label}</text>')
    for row, figure in enumerate(figures):
        parts += _row(figure, _TOP + row * _ROW_HEIGHT)
    return "\n".join([*parts, "</svg>", ""])


def _shorten(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _row(figure: Figure, y: int) -> Iterator[str]:
    baseline = y + 15
    style = "met" if figure.met else "missed"
    length = max(2.0, _x(figure.multiple) - _NAME_WIDTH)
    yield f'<text x="{_NAME_WIDTH - 8}" y="{baseline}" text-anchor="end">{escape(figure.name)}</text>'
    yield f'<rect class="{style}" x="{_NAME_WIDTH}" y="{y + 4}" width="{length:.1f}" height="14" rx="2"/>'
    yield f'<text x="{_NAME_WIDTH + _CHART_WIDTH + 8}" y="{baseline}">{escape(figure.text)}</text>'


def _x(multiple: float) -> float:
    within = min(max(multiple, SMALLEST), LARGEST)
    share = math.log(within / SMALLEST) / math.log(LARGEST / SMALLEST)
    return round(_NAME_WIDTH + share * _CHART_WIDTH, 1)


def _figures(result: dict[str, Any]) -> Iterator[Figure]:
    for verdict in result["bars"]:
        direction, limit = verdict["bar"].split()
        measured = float(verdict["measured"])
        # What only shows that the measuring works is no figure of ours.
        if not verdict["of"].startswith(("control", "backlog")):
            multiple = _multiple(direction, float(limit), measured)
            name = result["name"] if len(result["bars"]) == 1 else f"{result['name']}: {verdict['of']}"
            yield Figure(name, f"{_shorten(measured)} ({verdict['bar']})", multiple, verdict["met"])


def _multiple(direction: str, limit: float, measured: float) -> float:
    above, below = (limit, measured) if direction == ">=" else (measured, limit)
    if above <= 0:
        return SMALLEST
    return LARGEST if below <= 0 else above / below
