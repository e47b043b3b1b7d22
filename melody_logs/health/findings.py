"""What a look at the health found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from .figures import Figures

Level = Literal["good", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: its name, how it stands in words, and what helps."""

    name: str
    level: Level
    text: str
    remedy: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """All findings and the figures behind them; ``well`` if no finding is bad."""

    well: bool
    findings: tuple[Finding, ...]
    figures: Figures


def split(sentence: object) -> tuple[str, str]:
    """Split a sentence of ours, "what is wrong: what helps", at its colon."""
    text, _, remedy = str(sentence).partition(": ")
    return text, remedy
