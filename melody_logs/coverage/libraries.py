"""Which libraries of the app are connected, which are not, and which flows of theirs leave no trace."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import ModuleType

from flask import Flask

from ..health.findings import split
from ..integrations.catalogue import FOUND_AUTOMATICALLY
from ..integrations.integration import Integration
from ..state import State
from ..storage.recent_rows import RecentRows
from ..vocabulary import Kind
from .remarks import Connected, Remark

#: Modules that send, by kind. Those that an integration knows are its own matter.
SENDERS: dict[Kind, tuple[str, ...]] = {
    "email": (
        *("flask_mail", "flask_mailman", "flask_mailing", "sendgrid", "postmarker", "mailjet_rest", "resend"),
        *("sib_api_v3_sdk", "brevo", "mailersend", "mailchimp_transactional", "redmail", "yagmail", "emails"),
        *("azure.communication.email", "aiosmtplib", "mailtrap", "sparkpost"),
    ),
    "sms": (
        *("twilio", "vonage", "nexmo", "messagebird", "plivo", "sinch", "telnyx", "clicksend_client"),
        *("infobip_api_client", "azure.communication.sms"),
    ),
}
_KEYWORD = {"email": "sending_email", "sms": "sending_sms"}


def list_connected(state: State) -> tuple[Connected, ...]:
    """List the integrations that are at work, by name."""
    return tuple(
        Connected(name, one.find_version() or "", one.records, name not in state.found_integrations)
        for name, one in sorted(state.integrations.items())
    )


def examine_libraries(app: Flask, state: State, recent: RecentRows | None) -> Iterator[Remark]:
    """Find libraries that are used but not connected, and flows that their integrations cannot see."""
    for name, problem in sorted(state.integration_problems.items()):
        text, remedy = split(problem)
        yield Remark("Integrations", f"{name} is used, but could not be connected", text, remedy)
    for make in FOUND_AUTOMATICALLY:
        is_known = make.name in state.integrations or make.name in state.integration_problems
        if not is_known and make().is_used(app):
            remedy = f"logs.use({make.__name__}()), or set MELODY_LOGS_AUTO_INTEGRATE to True"
            evidence = f'the module "{make.module}" is loaded, and MELODY_LOGS_AUTO_INTEGRATE is off'
            yield Remark("Integrations", f"{make.name} is used, but not connected", evidence, remedy)
    for name, one in sorted(state.integrations.items()):
        for gap in _gaps_of(one, app):
            text, remedy = split(gap)
            yield Remark(name, text, f"the integration {name} is connected", remedy)
    yield from _examine_senders(app, state, recent)
    yield from _examine_reports(state, recent)


def _examine_senders(app: Flask, state: State, recent: RecentRows | None) -> Iterator[Remark]:
    """Find libraries that the app sends with and no integration knows, where nothing of their kind was recorded."""
    known = {make.module for make in FOUND_AUTOMATICALLY} | {one.module for one in state.integrations.values()}
    for kind, modules in SENDERS.items():
        if not state.settings.is_enabled(kind) or recent is None or not recent.is_quiet(kind):
            continue
        for module in modules:
            if module in sys.modules and module not in known and _is_imported_by(app, module):
                yield Remark(
                    "Messages",
                    f"the app imports {module}, and nothing that it sends is recorded",
                    f"there is no integration for it, and no {kind} entry in 30 days",
                    f"send inside logs.{_KEYWORD[kind]}(…)",
                )


def _examine_reports(state: State, recent: RecentRows | None) -> Iterator[Remark]:
    """Find text messages of which nobody hears what became.

    The rows decide, for Flask-Security imports Twilio's library where it is installed, used or not.
    """
    if recent is None or "twilio" not in recent.providers.get("sms", ()) or state.settings.twilio_auth_token:
        return
    yield Remark(
        "twilio",
        "what becomes of text messages after Twilio took them is not recorded",
        "text messages of the last 30 days went to Twilio",
        "set MELODY_LOGS_TWILIO_AUTH_TOKEN, and the endpoint as status_callback",
    )


def _is_imported_by(app: Flask, module: str) -> bool:
    """Say whether a module of the app holds the library or something of it: other libraries may have loaded it."""
    package = app.import_name.partition(".")[0]
    for name, own in list(sys.modules.items()):
        if name.partition(".")[0] != package:
            continue
        for value in list(vars(own).values()):
            origin = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if isinstance(origin, str) and (origin == module or origin.startswith(f"{module}.")):
                return True
    return False


def _gaps_of(integration: Integration, app: Flask) -> Iterable[str]:
    try:
        return list(integration.find_gaps(app))
    except Exception as error:
        return [f"could not be looked at: {type(error).__name__}: {error}"]
