"""What is measured round by round, all sides in each round, so that what else the machine does hits all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Round = Mapping[str, float]


class NotMeasured(Exception):
    """This machine lacks what a benchmark needs; the message says what."""


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
    """What a figure must be: at most (``<=``) or at least (``>=``) *limit*, or exactly it (``==``)."""

    direction: Literal["<=", ">=", "=="]
    limit: float

    def is_met(self, figure: float) -> bool:
        """Say whether *figure* is on the right side."""
        if self.direction == "==":
            return figure == self.limit
        return figure <= self.limit if self.direction == "<=" else figure >= self.limit

    def __str__(self) -> str:
        return f"{self.direction} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Criterion:
    """A figure made of the numbers of one round, and its bar."""

    says: str
    bar: Bar
    figure: Callable[[Round], float]


def ratio(side: str, other: str, bar: Bar) -> Criterion:
    """Demand something of one side's number divided by the other's."""
    return Criterion(f"{side} / {other}", bar, lambda numbers: numbers[side] / numbers[other])


def value(side: str, bar: Bar) -> Criterion:
    """Demand something of one side's number itself."""
    return Criterion(side, bar, lambda numbers: numbers[side])


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure, the median of the rounds' own ones, and whether it meets its bar."""

    says: str
    bar: Bar
    figure: float

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        return self.bar.is_met(self.figure)

    def to_json(self) -> dict[str, Any]:
        """Give the members of one element of ``bars`` in the benchmark's JSON line."""
        return {"of": self.says, "bar": str(self.bar), "measured": round(self.figure, 3), "met": self.met}


@dataclass(frozen=True, slots=True)
class Result:
    """What one benchmark found: the median over the rounds of each side, in *unit*, and a verdict for each bar.

    :ivar notes: what was left out, and why.
    """

    name: str
    says: str
    rounds: int
    unit: str
    medians: Mapping[str, float]
    verdicts: Sequence[Verdict] = ()
    notes: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Give the members of the benchmark's JSON line."""
        return {
            "name": self.name,
            "what": self.says,
            "rounds": self.rounds,
            "unit": self.unit,
            "medians": {side: round(number, 3) for side, number in self.medians.items()},
            "bars": [verdict.to_json() for verdict in self.verdicts],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """One benchmark: *measure* gives the numbers of all sides for the round whose number it gets."""

    name: str
    says: str
    unit: str
    measure: Callable[[int], Round]
    criteria: Sequence[Criterion]
    notes: Sequence[str] = ()

    def run(self, rounds: int) -> Result:
        """Measure in rounds, after one that does not count."""
        self.measure(0)
        measured = [self.measure(number) for number in range(1, rounds + 1)]
        medians = {side: statistics.median(numbers[side] for numbers in measured) for side in measured[0]}
        verdicts = [
            Verdict(each.says, each.bar, statistics.median(each.figure(numbers) for numbers in measured))
            for each in self.criteria
        ]
        return Result(self.name, self.says, rounds, self.unit, medians, verdicts, self.notes)


def in_turns(**sides: Callable[[], float]) -> Callable[[int], Round]:
    """Measure one side after the other, in an order that changes with each round."""

    def measure(number: int) -> Round:
        order = list(sides.items()) if number % 2 else list(reversed(sides.items()))
        numbers = {side: function() for side, function in order}
        return {side: numbers[side] for side in sides}

    return measure
