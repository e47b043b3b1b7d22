"""Flask-Security-Too: its sign-ins with every factor, what happens to its passwords, and what its messages are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from flask import Flask, Response, after_this_request, has_request_context, request

from ..recording.guard import guarded
from ..recording.recorder import Recorder
from ..state import State, state_of
from .flask_security_forms import METHODS, describe_account, read_account_id, seen_in_request, watch_forms
from .flask_security_messages import watch_mail, watch_texts
from .flask_security_views import VIEWS
from .integration import Integration, when_ready

_FAILURES = {"password": "wrong_password", "code": "wrong_code", "passkey": "wrong_passkey"}


class FlaskSecurity(Integration):
    """Records every attempt at the views of Flask-Security, each as one entry, and says what its messages are.

    Sign-ins by password, code, passkey, link, recovery code and OAuth provider; each step of a second factor;
    sign-outs; resets and changes of passwords; recoveries; renewed tokens; and whether somebody who is signed in proved
    it anew (``verify``). Success comes from the library's signals. Failures, also those of unknown, inactive and locked
    accounts, for which it has no signal, come from its forms as they were checked: nothing is looked up a second time.
    Answers by form and by JSON are alike.

    Its emails and text messages get a purpose, the account, the template and their exact secrets: codes, links, tokens.
    Texts are recorded here, whichever sender the app has registered; emails by the integration of the mailer.

    Not recorded: the token of each API request and HTTP basic authentication, which are no sign-in; confirmations of an
    address that sign nobody in; set-ups of a second factor.
    """

    name = "flask-security"
    distribution = "flask-security-too"
    other_distributions = ("flask-security",)
    module = "flask_security"
    extra = "flask-security"
    least_version = (5, 9)
    records = "sign-ins, second factors, sign-outs, password resets and changes, recoveries, text messages"

    def is_used(self, app: Flask) -> bool:
        """Say whether Flask-Security is initialised on the app."""
        return hasattr(app.extensions.get("security"), "forms")

    def connect(self, app: Flask, state: State) -> None:
        """Connect the signals, and the rest as soon as the extension is initialised on the app."""
        if state.settings.enable_sign_in_log:
            _connect_signals(app, state)
        when_ready(app, state, partial(self.is_used, app), partial(_attach, app, state))

    def find_gaps(self, app: Flask) -> Iterator[str]:
        """Name what this app does with Flask-Security that leaves no trace."""
        state = state_of(app)
        if not self.is_used(app):
            yield "Flask-Security is not initialised on this app: call Security(app, datastore), or leave it out"
            return
        if state.settings.enable_email_log and not any("email" in each.records for each in state.integrations.values()):
            yield (
                "emails of Flask-Security leave no trace: no mail library is connected; where its MailUtil hands them "
                "to something else, put logs.sending_email() around that"
            )
        if "basic" in app.config.get("SECURITY_API_ENABLED_METHODS", ()):
            yield (
                "wrong passwords in HTTP basic authentication leave no trace: each request carries one; leave "
                '"basic" out of SECURITY_API_ENABLED_METHODS, or record them in unauthn_handler'
            )


def _attach(app: Flask, state: State) -> None:
    security = app.extensions["security"]
    if state.settings.enable_sign_in_log:
        watch_forms(security)
        blueprint = app.config.get("SECURITY_BLUEPRINT_NAME", "security")
        state.found_views.update({f"{blueprint}.{endpoint}": view for endpoint, view in VIEWS.items()})
    if state.settings.enable_email_log or state.settings.enable_sms_log:
        watch_mail(security, app)
        watch_texts(security)


def _connect_signals(app: Flask, state: State) -> None:
    from flask_login import user_logged_in, user_logged_out
    from flask_security import signals

    receivers: Mapping[Any, Callable[..., None]] = {
        user_logged_in: _on_logged_in,
        user_logged_out: _on_logged_out,
        signals.user_authenticated: _on_authenticated,
        signals.user_failed_authn: _on_failed,
        signals.password_reset: partial(_on_password, "password_reset", "magic_link"),
        signals.password_changed: partial(_on_password, "password_change", "password"),
    }
    for signal, receive in receivers.items():
        receiver = _receiver(receive, state.recorder)
        signal.connect(receiver, sender=app)
        state.receivers.append(receiver)


def _receiver(receive: Callable[..., None], recorder: Recorder) -> Callable[..., None]:
    def receiver(sender: object, **payload: Any) -> None:
        receive(recorder, **payload)

    return guarded(receiver)


def _on_authenticated(recorder: Recorder, *, user: Any, authn_via: list[str] | None = None, **_: Any) -> None:
    seen = seen_in_request()
    seen.is_signed_in = True
    if authn_via == ["change"]:
        # Whoever changes the password stays signed in: the library renews the session.
        return
    fields = describe_account(user) | {"outcome": "success", "method": _read_method(authn_via)}
    typed = [checked.fields["identity"] for checked in seen.forms.values() if "identity" in checked.fields]
    if typed:
        fields["identity"] = typed[-1]
    recorder.note_sign_in(fields)
    if fields.get("user_id") is None:
        # Who registers has an id as soon as the library has written it.
        _note_later(recorder, lambda: {"user_id": read_account_id(user)})


def _read_method(authn_via: list[str] | None) -> str | None:
    """Name how somebody authenticated; with a second factor the library names none, but has checked its form."""
    via = authn_via[0] if authn_via else None
    if via == "oauth":
        return f"oauth:{(request.view_args or {}).get('name')}"
    if via == "email" and _is_link():
        return "magic_link"
    if via is not None:
        return METHODS.get(via, via)
    methods = [checked.fields.get("method") for checked in seen_in_request().forms.values()]
    return methods[-1] if methods else None


def _on_failed(recorder: Recorder, *, user: Any, auth_type: str = "", **_: Any) -> None:
    # Where one field takes a password or a code, the form tells which it was.
    reason = "wrong_code" if _is_link() else _FAILURES.get(auth_type)
    recorder.note_sign_in(describe_account(user) | {"outcome": "failure", "reason": reason})


def _is_link() -> bool:
    return has_request_context() and (request.endpoint or "").endswith(".us_verify_link")


def _on_logged_in(recorder: Recorder, *, user: Any, **_: Any) -> None:
    # Flask-Security says more a moment later; a view that calls Flask-Login itself says nothing else.
    account = describe_account(user)
    if request.endpoint in recorder.seams.watched_views:
        # What was typed is better known there.
        account.pop("identity", None)
    _note_later(recorder, lambda: None if seen_in_request().is_signed_in else account | {"outcome": "success"})


def _note_later(recorder: Recorder, read: Callable[[], dict[str, Any] | None]) -> None:
    @guarded
    def note() -> None:
        fields = read()
        if fields is not None:
            recorder.note_sign_in(fields)

    @after_this_request
    def note_later(response: Response) -> Response:
        note()
        return response


def _on_logged_out(recorder: Recorder, *, user: Any, **_: Any) -> None:
    if getattr(user, "is_authenticated", False):
        recorder.note_sign_in(describe_account(user) | {"event": "sign_out", "outcome": "success"})


def _on_password(event: str, method: str, recorder: Recorder, *, user: Any, **_: Any) -> None:
    recorder.note_sign_in(describe_account(user) | {"event": event, "outcome": "success", "method": method})
