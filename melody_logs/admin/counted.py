"""A sign-in row that counts many attempts: some of them, and what stands where they have nothing in common."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Any

from . import words
from .times import Moment, moment
from .visible_text import reveal


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One of the attempts, each part as text; empty where nothing was recorded."""

    how: str
    who: str
    address: str
    user_agent: str
    when: Moment


def is_total(row: Any) -> bool:
    """Say whether a sign-in row counts the failures of any name and network, so that it names none."""
    return "flood:total" in (row.marks or "").split()


def present_samples(row: Any, now: datetime) -> tuple[Sample, ...]:
    """Read the samples of a counted row, the first attempt first; none if it is one attempt."""
    stored = json.loads(row.samples) if row.samples else []
    return tuple(_present_sample(sample, now) for sample in stored)


def _present_sample(sample: dict[str, Any], now: datetime) -> Sample:
    return Sample(
        how=words.say(sample["reason"]) or words.say(sample["method"]),
        who=reveal(sample["identity"]),
        address=reveal(sample["ip"]),
        user_agent=reveal(sample["user_agent"]),
        when=moment(datetime.fromisoformat(sample["occurred_at"]), now),
    )
