"""One line at the top of every page while something is bad; the overview and the Health page say more themselves."""

from __future__ import annotations

import dataclasses

from flask import g, request, url_for

from ..health import Health, recent_health, remembered_health
from ..state import state_of
from .words import HEALTH_MARKS, Mark, mark_of, say

_TELL_THEMSELVES = {"overview", "health"}


@dataclasses.dataclass(frozen=True, slots=True)
class Alarm:
    """What is bad, by name, and where more is said."""

    mark: Mark
    names: str
    url: str


def find_alarm(*, may_look: bool) -> Alarm | None:
    """Say what is bad, as seen within the last ten seconds; None for somebody who may not read.

    :param may_look: look again if that is longer ago. False on the page that says that the database does not answer: it
        would wait for it a second time.
    """
    if "read" not in g.get("melody_logs_permissions", ()):
        return None
    if (request.endpoint or "").rpartition(".")[2] in _TELL_THEMSELVES:
        return None
    health: Health | None = recent_health(state_of()) if may_look else remembered_health(state_of())
    if health is None or health.well:
        return None
    names = dict.fromkeys(say(finding.name) for finding in health.findings if finding.level == "bad")
    return Alarm(mark_of(HEALTH_MARKS, "bad"), ", ".join(names), url_for(".health"))
