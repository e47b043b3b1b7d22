"""Numbered pages: what the query string asks for, and the links that lead on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from werkzeug.exceptions import BadRequest

PAGE_SIZES = (10, 25, 50, 100)
DEFAULT_PAGE_SIZE = PAGE_SIZES[0]
_REACH = 2


@dataclasses.dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of which size is asked for; both numbers are checked."""

    number: int = 1
    size: int = DEFAULT_PAGE_SIZE

    @classmethod
    def read(cls, arguments: Mapping[str, str]) -> PageRequest:
        """Read ``page_number`` and ``page_size``.

        :raise BadRequest: where one is no whole number, or not among what is accepted.
        """
        number = _whole_number(arguments, "page_number", 1)
        size = _whole_number(arguments, "page_size", DEFAULT_PAGE_SIZE)
        if size not in PAGE_SIZES:
            raise BadRequest(f'"page_size" is {size}; accepted: {", ".join(map(str, PAGE_SIZES))}.')
        return cls(number, size)


@dataclasses.dataclass(frozen=True, slots=True)
class Pagination:
    """A page within its list: *count* is the exact number of rows of all pages."""

    number: int
    size: int
    count: int

    @property
    def last(self) -> int:
        """The number of the last page, 1 where there is no row."""
        return max(1, -(-self.count // self.size))

    @property
    def previous(self) -> int | None:
        """The number of the page with newer rows."""
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        """The number of the page with older rows."""
        return self.number + 1 if self.number < self.last else None

    @property
    def range(self) -> str:
        """Say which rows stand on the page: "11-20 of 1,204"."""
        first = (self.number - 1) * self.size + 1
        return f"{first:,}\N{EN DASH}{min(self.number * self.size, self.count):,} of {self.count:,}"

    @property
    def steps(self) -> list[int | None]:
        """The page numbers to offer: first, last, those around this one; None stands for a gap."""
        near = range(max(1, self.number - _REACH), min(self.last, self.number + _REACH) + 1)
        steps: list[int | None] = []
        for number in sorted({1, self.last, *near}):
            if steps and number - (steps[-1] or 0) > 1:
                steps.append(None)
            steps.append(number)
        return steps


def _whole_number(arguments: Mapping[str, str], name: str, default: int) -> int:
    text = arguments.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise BadRequest(f'"{name}" must be a whole number from 1 to 999999999.')
    return int(text)
