"""What became of a message, as its provider reported it."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from ..storage.delivery_history import read_history
from . import words
from .times import Moment, moment
from .visible_text import reveal


@dataclasses.dataclass(frozen=True, slots=True)
class ShownReport:
    """One report: its status, the provider's words (empty if it had none), and when it was."""

    mark: words.Mark
    detail: str
    when: Moment


def present_reports(row: Any, now: datetime) -> tuple[ShownReport, ...]:
    """Read the history of a message, oldest first; none if nothing was reported."""
    return tuple(
        ShownReport(
            words.mark_of(words.REPORT_MARKS, report.status), reveal(report.detail), moment(report.occurred_at, now)
        )
        for report in read_history(row.delivery)
    )
