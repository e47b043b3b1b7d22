"""What the report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: A note needs nobody: it says how something that stands out is dealt with.
Level = Literal["note", "warning"]


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that leaves no trace, or a wrong one: what, by which evidence, and what helps."""

    name: str
    text: str
    evidence: str = ""
    remedy: str = ""
    level: Level = "warning"


@dataclass(frozen=True, slots=True)
class Connected:
    """An integration at work: its version, what it records, and whether the host has asked for it."""

    name: str
    version: str
    records: str
    is_asked: bool
