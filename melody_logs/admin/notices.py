"""What is wrong, in one line each, from the findings of the health check."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from ..health import Finding, Health
from .times import Moment, moment
from .visible_text import reveal
from .words import HEALTH_MARKS, Mark, begin, mark_of, say


@dataclasses.dataclass(frozen=True, slots=True)
class Banner:
    """A finding in words: what, since when, what helps."""

    mark: Mark
    name: str
    text: str
    remedy: str
    since: Moment | None


def make_banners(health: Health, now: datetime) -> tuple[Banner, ...]:
    """Make a banner of each finding that is not good, the worst first."""
    findings = [finding for finding in health.findings if finding.level != "good"]
    findings.sort(key=lambda finding: finding.level != "bad")
    return tuple(present_finding(finding, now) for finding in findings)


def present_finding(finding: Finding, now: datetime) -> Banner:
    """Put one finding into words."""
    return Banner(
        mark_of(HEALTH_MARKS, finding.level),
        say(finding.name),
        begin(reveal(finding.text)),
        begin(reveal(finding.remedy)),
        moment(finding.since, now) if finding.since else None,
    )
