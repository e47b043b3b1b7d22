"""Ratios of two ways to do one thing, measured in turns in one run, so that what else the machine does hits both."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured; each benchmark says what it takes from this.

    :ivar rows: rows of the large table, of the drained spool and of the backlog to locate; None for each one's own.
    :ivar quick: small numbers that only show that the benchmark works; its ratios mean nothing.
    """

    rows: int | None = None
    quick: bool = False
    rounds: int = 5

    def choose(self, usual: int, quick: int) -> int:
        """Choose the number of rows: the one asked for, else *usual*, or *quick* in a quick run."""
        return self.rows or (quick if self.quick else usual)


@dataclass(frozen=True, slots=True)
class Bar:
    """What a ratio must be: at most (``<=``) or at least (``>=``) *limit*."""

    direction: Literal["<=", ">="]
    limit: float

    def is_met(self, ratio: float) -> bool:
        """Say whether *ratio* is on the right side."""
        return ratio <= self.limit if self.direction == "<=" else ratio >= self.limit

    def __str__(self) -> str:
        return f"{self.direction} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Result:
    """What one benchmark found: the median over the rounds of each side, in *unit*, and of the ratio of the two."""

    name: str
    says: str
    bar: Bar
    ratio: float
    rounds: int
    unit: str
    medians: Mapping[str, float]

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        return self.bar.is_met(self.ratio)

    def to_json(self) -> dict[str, Any]:
        """Give the members of the benchmark's JSON line."""
        return {
            "name": self.name,
            "what": self.says,
            "bar": str(self.bar),
            "ratio": round(self.ratio, 3),
            "rounds": self.rounds,
            "unit": self.unit,
            "medians": {side: round(value, 3) for side, value in self.medians.items()},
            "met": self.met,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """One benchmark: *ours* against *bare*, each a function that measures once and returns a number in *unit*."""

    name: str
    says: str
    bar: Bar
    unit: str
    ours: Callable[[], float]
    bare: Callable[[], float]

    def run(self, rounds: int) -> Result:
        """Measure both sides in each round, the order changing, after one round that does not count."""
        self.ours(), self.bare()
        measured: dict[str, list[float]] = {"ours": [], "bare": []}
        sides = [("ours", self.ours), ("bare", self.bare)]
        for number in range(rounds):
            for side, measure in sides if number % 2 == 0 else reversed(sides):
                measured[side].append(measure())
        ratios = [ours / bare for ours, bare in zip(measured["ours"], measured["bare"], strict=True)]
        medians = {side: statistics.median(values) for side, values in measured.items()}
        return Result(self.name, self.says, self.bar, statistics.median(ratios), rounds, self.unit, medians)
