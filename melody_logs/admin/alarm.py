"""One line at the top of every page while something is bad, or leaves no trace; the Health page says more itself."""

from __future__ import annotations

import dataclasses

from flask import current_app, g, request, url_for

from ..coverage import recent_coverage
from ..health import Health, recent_health, remembered_health
from ..state import state_of
from .words import HEALTH_MARKS, Mark, mark_of, say

#: The overview says what is bad, but not what leaves no trace.
_TELL_THEMSELVES = {"overview", "health"}


@dataclasses.dataclass(frozen=True, slots=True)
class Alarm:
    """What is bad or left out, by name, and where more is said."""

    mark: Mark
    lead: str
    names: str
    url: str


def find_alarm(*, may_look: bool) -> Alarm | None:
    """Say what is bad, as seen within the last ten seconds; None for somebody who may not read.

    :param may_look: look again if that is longer ago. False on the page that says that the database does not answer: it
        would wait for it a second time.
    """
    if "read" not in g.get("melody_logs_permissions", ()):
        return None
    page = (request.endpoint or "").rpartition(".")[2]
    if page == "health":
        return None
    health: Health | None = recent_health(state_of()) if may_look else remembered_health(state_of())
    if health is None:
        return None
    if health.well:
        return _find_gaps() if may_look else None
    if page in _TELL_THEMSELVES:
        return None
    names = dict.fromkeys(say(finding.name) for finding in health.findings if finding.level == "bad")
    return Alarm(mark_of(HEALTH_MARKS, "bad"), "Something needs you:", ", ".join(names), url_for(".health"))


def _find_gaps() -> Alarm | None:
    """Say what leaves no trace, as seen within five minutes."""
    coverage = recent_coverage(current_app._get_current_object())  # type: ignore[attr-defined]
    if coverage is None or coverage.well:
        return None
    names = ", ".join(dict.fromkeys(say(remark.name) for remark in coverage.warnings))
    url = url_for(".health", _anchor="ml-coverage")
    return Alarm(mark_of(HEALTH_MARKS, "warning"), "The logs miss something, or have it wrong:", names, url)
