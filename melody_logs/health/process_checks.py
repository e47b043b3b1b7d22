"""What this process can say of itself: recording, watched views, pages, location files."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from flask import current_app, has_app_context

from ..errors import ConfigurationError
from ..host_layout import TROUBLE, check_layout
from ..state import State
from .figures import Figures
from .findings import Finding, Level, split

OLD_LOCATIONS_AFTER_DAYS = 365
#: An error of ours that has not come again for as long rings no bell any more, but is still told.
ERROR_CALMS_AFTER = timedelta(hours=1)


def check_recording(state: State, figures: Figures) -> list[Finding]:
    enabled = [kind for kind in ("email", "sms", "sign-in") if state.settings.is_enabled(kind)]
    findings = []
    if enabled:
        findings.append(Finding("Recording", "good", f"enabled for {', '.join(enabled)}"))
    else:
        remedy = "set MELODY_LOGS_ENABLE_SIGN_IN_LOG, …_EMAIL_LOG or …_SMS_LOG to True"
        findings.append(Finding("Recording", "warning", "no kind is enabled", remedy))
    try:
        state.derive_key("identity")
    except ConfigurationError as error:
        text, remedy = split(error)
        findings.append(Finding("Keys", "bad", text, remedy))
    findings += _check_errors(state, figures)
    for kind, lost in sorted(figures.lost_untold.items()):
        text = f"{lost:,} {kind} entries were lost in this process, of which the database has not been told yet"
        findings.append(Finding("Gap", "warning", text))
    if refused := sum(figures.refused.values()):
        text = f"{refused:,} entries were refused in this process, and with them what they were about"
        remedy = 'mend the spool, or set MELODY_LOGS_ON_FAILURE to "continue"'
        findings.append(Finding("Refused entries", "warning", text, remedy))
    return findings


def _check_errors(state: State, figures: Figures) -> Iterable[Finding]:
    """Say what errors of ours have lost since the process began, as bad for an hour after the last one."""
    failures = sum(figures.recording_errors.values())
    last_at = state.recorder.failures.last_at()
    if failures and last_at is not None:
        level: Level = "warning" if datetime.now(UTC) - last_at > ERROR_CALMS_AFTER else "bad"
        are = "entry was" if failures == 1 else "entries were"
        text = f"{failures:,} {are} lost to an error inside melody_logs in this process"
        remedy = "read the log of the logger melody_logs and report it"
        yield Finding("Recording errors", level, text, remedy, last_at)


def check_watched_views(state: State) -> Iterable[Finding]:
    """Find watched login views that the app does not have: their sign-ins would be missing without a word."""
    if not has_app_context():
        return
    for endpoint in state.seams.watched_views:
        rules = list(current_app.url_map.iter_rules(endpoint)) if endpoint in current_app.view_functions else []
        if not rules:
            text = f'watch_sign_in("{endpoint}"): the app has no such endpoint, so nothing is recorded for it'
            yield Finding("Sign-in views", "warning", text, "give the endpoint as flask routes shows it")
        elif not any("POST" in (rule.methods or ()) for rule in rules):
            text = f'watch_sign_in("{endpoint}"): the endpoint takes no POST, so nothing is recorded for it'
            yield Finding("Sign-in views", "warning", text, "watch the endpoint that the form is sent to")


def check_pages(state: State) -> Iterable[Finding]:
    """Find what the pages of this process could not use of the host's."""
    base_template = state.settings.base_template
    seen = {trouble.name for trouble in state.troubles.lasting()}
    # Other processes than those that show pages have not tried it.
    wrong = check_layout(base_template) if base_template and has_app_context() and TROUBLE not in seen else None
    if wrong:
        yield Finding(TROUBLE, "warning", *wrong)
    for trouble in state.troubles.lasting():
        yield Finding(trouble.name, "warning", trouble.text, trouble.remedy, trouble.since)


def check_geolocation(state: State) -> Iterable[Finding]:
    if not state.settings.enable_sign_in_log:
        return
    for info in state.locator.describe():
        if info.error:
            remedy = "put the file back, or correct MELODY_LOGS_GEOIP_DATABASE; sign-ins wait until then"
            yield Finding("Location data", "bad", info.error, remedy)
        elif info.age_days is not None and info.age_days > OLD_LOCATIONS_AFTER_DAYS:
            yield Finding(
                "Location data",
                "warning",
                f"{info.name} is {info.age_days} days old",
                "get a newer one: flask melody-logs geoip update",
            )
        else:
            yield Finding("Location data", "good", info.name)
