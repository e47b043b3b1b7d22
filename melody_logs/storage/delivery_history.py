"""What a provider has reported of a message: a history, and the status that follows from it.

Reports come late, twice and in any order. Both functions give the same for the same reports, however they came.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from ..vocabulary import REPORT_RANK, STATUS_RANK

#: A message keeps so many reports: those that say most, of these the first.
MOST_REPORTS = 20


class Reported(NamedTuple):
    """One line of a history: a status of the vocabulary or ``deferred``, when it was, the provider's words."""

    status: str
    occurred_at: datetime
    detail: str | None


def read_history(delivery: str | None) -> list[Reported]:
    """Read the column ``delivery``, oldest first."""
    stored = [] if delivery is None else json.loads(delivery)
    return [Reported(each["status"], datetime.fromisoformat(each["occurred_at"]), each["detail"]) for each in stored]


def add_to_history(delivery: str | None, reports: Iterable[Reported]) -> str:
    """Add reports to the column ``delivery``.

    What is said again in the same words is kept once, with the first time: not every provider tells a time, and then
    it is that of the call.
    """
    first: dict[tuple[str, str | None], datetime] = {}
    for report in [*read_history(delivery), *reports]:
        key = (report.status, report.detail)
        first[key] = min(report.occurred_at, first.get(key, report.occurred_at))
    known = [Reported(status, moment, detail) for (status, detail), moment in first.items()]
    known.sort(key=lambda report: (-_rank(report), report.occurred_at, *_words(report)))
    kept = sorted(known[:MOST_REPORTS], key=lambda report: (report.occurred_at, _rank(report), *_words(report)))
    lines = [
        {"status": report.status, "occurred_at": report.occurred_at.isoformat(), "detail": report.detail}
        for report in kept
    ]
    return json.dumps(lines, ensure_ascii=False, separators=(",", ":"))


def settle_status(status: str, delivery: str | None) -> str:
    """Give the status of a message whose sending ended with *status* and of which *delivery* was reported.

    The report that says most decides, not the latest: a message to several receivers that one of them never got is
    bounced, whichever report came first. A soft bounce changes nothing.
    """
    if delivery is None:
        return status
    most = max(read_history(delivery), key=_rank)
    return most.status if 0 < _rank(most) >= STATUS_RANK.get(status, 0) else status


def _rank(report: Reported) -> int:
    return REPORT_RANK.get(report.status, 0)


def _words(report: Reported) -> tuple[str, bool, str]:
    return report.status, report.detail is not None, report.detail or ""
