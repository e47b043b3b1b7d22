"""How long rows are kept and what was cleaned; what is well and what is not."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

from flask import current_app

from ..coverage import Coverage, Remark, examine
from ..health import Health, check_health
from ..jobs.clean import list_jobs
from ..settings import Settings
from ..state import state_of
from ..storage.progress import GapCount
from ..vocabulary import TITLES, Kind
from . import words
from .cleanups import present_jobs
from .notices import present_finding
from .people import actor_id_of, find_people
from .rendering import KIND_ORDER, database_now, render
from .times import Moment, moment
from .visible_text import reveal, reveal_lines

JOBS_SHOWN = 50


@dataclasses.dataclass(frozen=True, slots=True)
class PolicyLine:
    """How long a kind is kept, and in words what happens next."""

    title: str
    is_recorded: bool
    kept: str
    next_step: str
    example: str


@dataclasses.dataclass(frozen=True, slots=True)
class GapLine:
    """What was lost of a log between two moments."""

    title: str
    lost: str
    first: Moment
    last: Moment


@dataclasses.dataclass(frozen=True, slots=True)
class RemarkLine:
    """Something that leaves no trace: what, by which evidence, and what helps, line by line."""

    mark: words.Mark
    name: str
    text: str
    evidence: str
    remedy: str
    code: str


def show_retention() -> str:
    """The policies in force and the newest clean-ups, by hand and by policy."""
    state = state_of()
    now = database_now(state.database)
    jobs = list_jobs(state.database, limit=JOBS_SHOWN)
    return render(
        "retention.html",
        page_title="Retention",
        policies=[_present_policy(state.settings, kind) for kind in KIND_ORDER],
        jobs=present_jobs(jobs, now, find_people(map(actor_id_of, jobs))),
        shown=JOBS_SHOWN,
    )


def show_health() -> str:
    """Every finding of the health check, with what to do about those that are not good."""
    state = state_of()
    health = check_health(state)
    # Not the database's clock: this page must also work when the database does not.
    now = datetime.now(UTC)
    # A database that does not answer has been waited for once.
    coverage = examine(current_app._get_current_object()) if health.well else None  # type: ignore[attr-defined]
    order = ("bad", "warning", "good")
    findings = sorted(health.findings, key=lambda finding: order.index(finding.level))
    return render(
        "health.html",
        page_title="Health",
        lead=_say_how_it_stands(health, coverage),
        findings=[present_finding(one, now) for one in findings],
        gaps=[_present_gap(gap, now) for gap in health.figures.gaps or ()],
        coverage=coverage,
        coverage_lead=_say_coverage(coverage) if coverage else "",
        remarks=[_present_remark(remark) for remark in coverage.remarks] if coverage else (),
    )


def _say_coverage(coverage: Coverage) -> str:
    on = [TITLES[kind] for kind in KIND_ORDER if coverage.kinds[kind]]
    logs = f"Logs that are on: {', '.join(on)}." if on else "No log is on."
    stands = (
        "Nothing that leaves no trace was found." if coverage.well else "The logs miss something, or have it wrong:"
    )
    return f"{logs} {stands}"


def _present_remark(remark: Remark) -> RemarkLine:
    """Put a remark into words; lines after the first of its remedy are code."""
    mark = words.Mark("notes", "Note", "muted") if remark.level == "note" else words.HEALTH_MARKS["warning"]
    remedy, _, code = remark.remedy.partition("\n")
    text, remedy = words.begin(reveal(remark.text)), words.begin(reveal(remedy))
    return RemarkLine(mark, words.begin(reveal(remark.name)), text, reveal(remark.evidence), remedy, reveal_lines(code))


def _present_gap(gap: GapCount, now: datetime) -> GapLine:
    title = {str(kind): title for kind, title in TITLES.items()}.get(gap.kind, gap.kind)
    return GapLine(title, f"{gap.lost:,}", moment(gap.first_at, now), moment(gap.last_at, now))


def _present_policy(settings: Settings, kind: Kind) -> PolicyLine:
    nouns = words.NOUNS[kind][1]
    is_recorded = settings.is_enabled(kind)
    for policy in settings.retention:
        if policy.kind == kind:
            age = words.days(policy.days)
            step = f"The worker deletes {nouns} once they are older than {age}; it looks every hour."
            return PolicyLine(TITLES[kind], is_recorded, age, step, "")
    step = f"Nothing deletes {nouns} but the Clean button. To have it done, add a policy:"
    # The whole setting, so that pasting it does not end the policies there are.
    policies = [*map(dataclasses.asdict, settings.retention), {"kind": kind, "days": 365}]
    example = f"MELODY_LOGS_RETENTION = {json.dumps(policies)}"
    return PolicyLine(TITLES[kind], is_recorded, "everything", step, example)


def _say_how_it_stands(health: Health, coverage: Coverage | None) -> str:
    if not health.well:
        return "Something needs you: the findings below say what helps."
    warnings = sum(finding.level == "warning" for finding in health.findings)
    if not warnings and coverage is not None and not coverage.well:
        return "Everything works, but not everything is recorded as it is: see Coverage below."
    if not warnings:
        return "All is well."
    return f"Nothing is broken, but the warning{'s' if warnings > 1 else ''} below may matter to you."
