"""Drills measure: each test says what it expects and what it found, and the run ends with a table of both.

``drill``
    the fixture of a drill: ``drill.expect("lost", expected="0", measured=lost, held=lost == 0)`` notes a figure, and
    when the test ends, each figure that does not hold fails it; ``drill.random`` is seeded, ``drill.is_long`` says
    whether this is the long form.
``--drill-seed``
    replays the random choices of a run; a failing drill prints its seed.
``--drills-output``
    also writes the figures, a JSON line each, to a file.
"""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

_PROPERTY = "drill"


@dataclass(frozen=True, slots=True)
class Figure:
    """One promise of a drill: its id in the list of faults, such as ``F1``, what is measured, and whether it held."""

    drill: str
    what: str
    expected: str
    measured: str
    held: bool
    seed: int


@dataclass(slots=True)
class Drill:
    """What a drill gets: a seed, its random numbers, its size, and a place for its figures."""

    name: str
    seed: int
    is_long: bool
    figures: list[Figure] = field(default_factory=list)
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def choose(self, long: Any, short: Any) -> Any:
        """Choose a size: the *long* form's, or the *short* one's."""
        return long if self.is_long else short

    def expect(self, what: str, *, expected: object, measured: object, held: bool) -> None:
        """Note a figure; the test fails at its end if it does not hold, and goes on measuring until then."""
        self.figures.append(Figure(self.name, what, str(expected), str(measured), held, self.seed))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the drills."""
    group = parser.getgroup("drills")
    group.addoption("--drill-seed", type=int, help="replay the drills' random choices of an earlier run")
    group.addoption("--drills-output", type=Path, help="write the drills' figures to this file, a JSON line each")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let ``-k F1-`` choose drills by their ids; the dash keeps F10 out."""
    for mark in item.iter_markers("fault"):
        item.extra_keyword_matches.update(f"{name}-" for name in mark.args)


@pytest.fixture
def drill(request: pytest.FixtureRequest) -> Iterator[Drill]:
    """Give a drill its seed and collect its figures; its mark ``fault("F1")`` names it."""
    mark = request.node.get_closest_marker("fault")
    given = request.config.getoption("--drill-seed")
    seed = secrets.randbits(32) if given is None else given
    name = " ".join(mark.args) if mark else request.node.name
    found = Drill(name, seed, request.node.get_closest_marker("drills") is not None)
    print(f"replay with --drill-seed {seed}")
    yield found
    request.node.user_properties.extend((_PROPERTY, asdict(figure)) for figure in found.figures)
    broken = [figure for figure in found.figures if not figure.held]
    assert not broken, "\n".join(f"{one.what}: expected {one.expected}, measured {one.measured}" for one in broken)
    assert found.figures, "a drill measured nothing"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print expected against measured of all drills that ran, in any process."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    figures = [
        Figure(**value)
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    figures.sort(key=lambda figure: (_number_of(figure.drill), figure.drill))
    if not figures:
        return
    output: Path | None = config.getoption("--drills-output")
    if output:
        output.write_text("".join(f"{json.dumps(asdict(figure), ensure_ascii=False)}\n" for figure in figures))
    terminalreporter.section("drills: expected against measured")
    Console(width=120).print(_make_table(figures))


def _make_table(figures: list[Figure]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("drill", "what", "expected", "measured", "seed", ""):
        table.add_column(title, justify="right" if title == "seed" else "left")
    for figure in figures:
        verdict = "[green]held" if figure.held else "[red]not held"
        table.add_row(figure.drill, figure.what, figure.expected, figure.measured, str(figure.seed), verdict)
    return table


def _number_of(name: str) -> int:
    digits = "".join(character for character in name.partition(" ")[0] if character.isdigit())
    return int(digits or 0)
