"""Sign-ins through OAuth 1, OAuth 2 and OpenID Connect providers, by Authlib's client registry for Flask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from flask import Flask, Response, current_app, has_request_context, request, session
from werkzeug.exceptions import BadRequestKeyError

from ..recording.guard import guarded
from ..recording.recorder import Recorder
from ..state import State
from .integration import Integration, state_with
from .sign_in_views import ask_outcome, require_log, session_user
from .wrapping import wrap_once

_NAME = "_melody_logs_oauth"
#: What a provider answers for a user who did not go through with it: RFC 6749, section 4.1.2.1, and OpenID Connect
#: Core 1.0, section 3.1.2.6. Other words in the address of a callback may be anybody's.
_USER_ERRORS = frozenset(
    {
        "access_denied",
        "account_selection_required",
        "consent_required",
        "interaction_required",
        "login_required",
    }
)


class Authlib(Integration):
    """Sign-ins by the clients of ``authlib.integrations.flask_client.OAuth``, one entry for each callback.

    The method is ``oauth:NAME`` with the client's registered name, and the identity is the email address in the ID
    token, or in what ``client.userinfo()`` returns in the same request. Failures are seen with their reason: the user
    refused, the state or the ID token was not right, or the provider refused or did not answer. A redirect to the
    provider is no attempt, unless it fails.

    It does not see views that look at ``request.args["error"]`` themselves and never call ``authorize_access_token()``,
    nor tokens that are fetched without that method.

    :param user_id: returns the id of the user who signed in; by default that of the session.
    :param outcome: gets the answer to a callback whose token was right, and returns a bool or one of the vocabulary's
        outcomes. By default it failed if the answer is an error, or a page or redirect with a flashed message, while
        nothing was kept in the session; with Flask-Login, if the session has no user.
    :param reason: gets the answer to such a callback that did not succeed and returns why.
    """

    name = "authlib"
    distribution = "authlib"
    module = "authlib.integrations.flask_client"
    extra = "authlib"
    least_version = (1, 3)
    records: ClassVar[str] = "sign-ins through OAuth and OpenID Connect providers"

    def __init__(
        self,
        *,
        user_id: Callable[[], Any] | None = None,
        outcome: Callable[[Response], Any] | None = None,
        reason: Callable[[Response], Any] | None = None,
    ) -> None:
        self.user_id = user_id
        self.outcome = outcome
        self.reason = reason

    def is_used(self, app: Flask) -> bool:
        """Say whether an ``OAuth`` registry is initialised on *app*."""
        return self.module in app.extensions

    def connect(self, app: Flask, state: State) -> None:
        """Wrap the methods of both client classes, once a process, and look at the answers of *app*."""
        from authlib.integrations.flask_client import FlaskOAuth1App, FlaskOAuth2App

        for client_class in (FlaskOAuth1App, FlaskOAuth2App):
            wrap_once(client_class, "authorize_access_token", _watch_exchange)
            wrap_once(client_class, "authorize_redirect", _watch_redirect)
        wrap_once(FlaskOAuth2App, "userinfo", _watch_userinfo)

        @guarded
        def judge(response: Response) -> None:
            _judge(state, response)

        state.answer_watchers.append(judge)


@dataclass(slots=True)
class _Exchange:
    """A token that was right: who was signed in before, and what the session kept then."""

    user_before: Any
    kept_before: dict[str, Any]
    flashed_before: Any


def _watch_exchange(original: Callable[..., Any]) -> Callable[..., Any]:
    def authorize_access_token(client: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = _find_recorder()
        if recorder is None:
            return original(client, *args, **kwargs)
        require_log(recorder)
        try:
            token = original(client, *args, **kwargs)
        except Exception as error:
            _note_failure(recorder, client, error)
            raise
        _note_exchange(recorder, client, token)
        return token

    return authorize_access_token


def _watch_redirect(original: Callable[..., Any]) -> Callable[..., Any]:
    def authorize_redirect(client: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(client, *args, **kwargs)
        except Exception as error:
            recorder = _find_recorder()
            if recorder is not None:
                # The user gets no further: no callback will tell of this attempt.
                _note_failure(recorder, client, error)
            raise

    return authorize_redirect


def _watch_userinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    def userinfo(client: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = _find_recorder()
        # A job of the host may ask for the profile, too, without a request.
        if recorder is None or not has_request_context() or not hasattr(_current_request(), _NAME):
            return original(client, *args, **kwargs)
        try:
            found = original(client, *args, **kwargs)
        except Exception:
            _note(recorder, reason="provider_error")
            raise
        _note_person(recorder, found)
        return found

    return userinfo


@guarded
def _find_recorder() -> Recorder | None:
    state = state_with(Authlib.name)
    return state.recorder if state is not None and state.settings.enable_sign_in_log else None


def _current_request() -> Any:
    return request._get_current_object()  # type: ignore[attr-defined]


@guarded
def _note(recorder: Recorder, **fields: Any) -> None:
    recorder.note_sign_in(fields)


@guarded
def _note_failure(recorder: Recorder, client: Any, error: Exception) -> None:
    recorder.note_sign_in({"method": _method_of(client), "outcome": "failure", "reason": _reason_of(error)})


@guarded
def _note_exchange(recorder: Recorder, client: Any, token: Any) -> None:
    recorder.note_sign_in({"method": _method_of(client)})
    _note_person(recorder, token.get("userinfo"))
    setattr(_current_request(), _NAME, _Exchange(session_user(), _kept_in_session(), session.get("_flashes")))


@guarded
def _note_person(recorder: Recorder, person: Any) -> None:
    """Note whom the provider named: the claims of OpenID Connect Core 1.0, section 5.1."""
    name = person and (person.get("email") or person.get("preferred_username"))
    if name:
        recorder.note_sign_in({"identity": name, "account_known": True})


def _method_of(client: Any) -> str:
    return f"oauth:{client.name}"


def _reason_of(error: Exception) -> str:
    code = getattr(error, "error", None)
    if code in _USER_ERRORS:
        return str(code)
    # Authlib's word where the request token of OAuth 1 is not the one that was kept; "denied" comes without it.
    if code == "oauth_error" and "denied" in request.args:
        return "access_denied"
    # Older versions look for the parameters without asking whether they are there.
    if code in ("mismatching_state", "oauth_error") or isinstance(error, BadRequestKeyError):
        return "state_mismatch"
    # Whether they are joserfc's or, in older versions, Authlib's own.
    if any(base.__name__ == "JoseError" for base in type(error).__mro__):
        return "invalid_id_token"
    return "provider_error"


def _kept_in_session() -> dict[str, Any]:
    """Copy what the session keeps but messages to show, and what libraries keep for themselves."""
    own = ("_flashes", "_permanent", "_fresh", "_id", "csrf_token")
    return {name: kept for name, kept in session.items() if name not in own and not name.startswith("_state_")}


def _judge(state: State, response: Response) -> None:
    exchange: _Exchange | None = getattr(_current_request(), _NAME, None)
    if exchange is None:
        return
    integration: Authlib = state.integrations[Authlib.name]
    outcome = _read_outcome(integration, exchange, response)
    fields: dict[str, Any] = {"outcome": outcome}
    if outcome == "success":
        fields["user_id"] = _read_user_id(integration)
    elif integration.reason is not None:
        fields["reason"] = guarded(integration.reason)(response)
    state.recorder.note_sign_in(fields, only_missing=True)


@guarded
def _read_user_id(integration: Authlib) -> Any:
    return session_user() if integration.user_id is None else integration.user_id()


def _read_outcome(integration: Authlib, exchange: _Exchange, response: Response) -> str:
    said = ask_outcome(integration.outcome, response)
    return said or ("success" if _has_succeeded(exchange, response) else "failure")


def _has_succeeded(exchange: _Exchange, response: Response) -> bool:
    user = session_user()
    if user is not None and user != exchange.user_before:
        return True
    if response.status_code >= 400:
        return False
    if user is not None or _has_kept_more(exchange) or "Set-Cookie" in response.headers:
        return True
    is_page = 300 <= response.status_code < 400 or response.mimetype in ("text/html", "application/xhtml+xml")
    has_flashed = session.get("_flashes") != exchange.flashed_before
    return not is_page or not (has_flashed or hasattr(current_app, "login_manager"))


def _has_kept_more(exchange: _Exchange) -> bool:
    return any(exchange.kept_before.get(name) != kept for name, kept in _kept_in_session().items())
