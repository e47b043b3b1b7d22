"""Flask-Login: sign-ins and sign-outs by its signals, failures by the login view that it is told about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from ..recording.guard import guarded
from ..recording.seams import read_user_id
from ..state import State, state_of
from .integration import Integration
from .sign_in_views import (
    Reader,
    WatchedView,
    ask_outcome,
    leads_back,
    redirects_to,
    remember_user,
    session_user,
    user_before,
)

if TYPE_CHECKING:
    from flask_login import LoginManager

#: The names that login forms give to the field for the account, the most telling ones first.
IDENTITY_FIELDS = ("email", "username", "login", "identity", "user")
_NAME = "_melody_logs_flask_login"


class FlaskLogin(Integration):
    """Records who signs in and out with Flask-Login, and every POST to its login view.

    A failed sign-in has no signal. So the views that ``login_view``, ``blueprint_login_views`` and ``refresh_view`` of
    the login manager name are watched: an attempt there succeeded if somebody was signed in. If nobody was, it failed
    when the form or an error is shown, or when the answer leads back to where the visitor was; when it leads somewhere
    else, another step is asked for (``challenge``). Why an attempt failed is not known unless *reason* says so.

    Not recorded: users whom a cookie or a request loader brings along, and ``login_user`` for who is signed in already,
    since neither is a sign-in. Where Flask-Security is connected, that integration records instead of this one.

    :param endpoint: the view that takes the form, or several, instead of those that the login manager names.
    :param identity: the name of the form or JSON field, or a function that returns what was typed.
    :param method: the method of what is sent to the login view.
    :param outcome: gets the response of a login view and returns a bool or one of the vocabulary's outcomes; with
        anything else the rules above go on.
    :param reason: gets the response of an attempt that did not succeed and returns why.
    """

    name = "flask-login"
    distribution = "flask-login"
    module = "flask_login"
    extra = "flask-login"
    least_version = (0, 6)
    records = "sign-ins, sign-outs"

    def __init__(
        self,
        *,
        endpoint: str | Iterable[str] | None = None,
        identity: Reader = IDENTITY_FIELDS,
        method: str | None = "password",
        outcome: Callable[[Response], Any] | None = None,
        reason: Callable[[Response], Any] | None = None,
    ) -> None:
        self.endpoints = None if endpoint is None else (endpoint,) if isinstance(endpoint, str) else tuple(endpoint)
        self.identity = identity
        self.method = method
        self.outcome = outcome
        self.reason = reason

    def is_used(self, app: Flask) -> bool:
        """Say whether the app has a login manager of its own; Flask-Security's is seen by that integration."""
        return hasattr(app, "login_manager") and "security" not in app.extensions

    def connect(self, app: Flask, state: State) -> None:
        """Connect the signals, and look for the login views before each request: they may be named late."""
        from flask_login import user_logged_in, user_logged_out, user_login_confirmed

        if not state.settings.enable_sign_in_log:
            return
        receivers = {
            user_logged_in: guarded(lambda sender, user, **_: _note_login(app, state, user)),
            user_logged_out: guarded(lambda sender, user, **_: _note_logout(app, state, user)),
            user_login_confirmed: guarded(lambda sender, **_: _note_confirmed(app, state)),
        }
        for signal, receiver in receivers.items():
            signal.connect(receiver, sender=app)
            state.receivers.append(receiver)
        seen: tuple[FlaskLogin | None, tuple[str, ...]] = (None, ())

        @guarded
        def begin() -> None:
            nonlocal seen
            if _is_left_to_security(state):
                return
            remember_user()
            integration: FlaskLogin = state.integrations[self.name]
            named = _named_views(integration, getattr(app, "login_manager", None))
            if (integration, named) != seen:
                seen = (integration, named)
                integration._watch_views(app, state, named)

        app.before_request_funcs.setdefault(None, []).insert(0, begin)

    def covers(self, app: Flask, endpoint: str) -> bool:
        """Say whether *endpoint* takes what is sent to a login view that is named."""
        named = _named_views(self, getattr(app, "login_manager", None))
        return any(endpoint in _find_endpoints(app, name) for name in named)

    def find_gaps(self, app: Flask) -> Iterator[str]:
        """Say so if no view is known whose failures could be seen."""
        state = state_of(app)
        if _is_left_to_security(state) or any(view.event == "sign_in" for view in state.seams.watched_views.values()):
            return
        named = _named_views(self, getattr(app, "login_manager", None))
        if not any(_find_endpoints(app, name) for name in named):
            where = f"the app takes no POST at {', '.join(map(repr, named))}" if named else "no login view is named"
            yield (
                f"failed sign-ins leave no trace: {where}; set login_manager.login_view, or give the endpoint that "
                'takes the form: logs.use(FlaskLogin(endpoint="auth.login"))'
            )

    def _watch_views(self, app: Flask, state: State, names: Iterable[str]) -> None:
        found = state.found_views
        for endpoint in [endpoint for endpoint, view in found.items() if isinstance(view, _LoginView)]:
            del found[endpoint]
        for endpoint in {endpoint for name in names for endpoint in _find_endpoints(app, name)}:
            found[endpoint] = _LoginView(
                endpoint=endpoint,
                identity=self.identity,
                event="sign_in",
                method=self.method,
                user_id=None,
                outcome=partial(self._read_outcome, endpoint),
                reason=self.reason,
            )

    def _read_outcome(self, endpoint: str, response: Response) -> str:
        said = ask_outcome(self.outcome, response)
        if said is not None:
            return said
        signed_in = session_user()
        if hasattr(request, _NAME) or (signed_in is not None and signed_in != user_before()):
            return "success"
        location = redirects_to(response)
        if response.status_code >= 400 or location is None or leads_back(endpoint, location):
            return "failure"
        # A form on every page leads back to the page it was on.
        came_from = urlsplit(request.referrer or "").path
        return "failure" if came_from and urlsplit(location).path == came_from else "challenge"


class _LoginView(WatchedView):
    """A view that was found; it is told from those of other integrations."""


def describe_user(user: Any) -> dict[str, Any]:
    """Read the identity of a user object: its email address, else its user name; nothing if it has neither."""
    for name in ("email", "username"):
        value = getattr(user, name, None)
        if isinstance(value, str) and value:
            return {"identity": value}
    return {}


def _is_left_to_security(state: State) -> bool:
    return "flask-security" in state.integrations


def _named_views(integration: FlaskLogin, manager: LoginManager | None) -> tuple[str, ...]:
    if integration.endpoints is not None:
        return integration.endpoints
    if manager is None:
        return ()
    views = (manager.login_view, manager.refresh_view, *manager.blueprint_login_views.values())
    return tuple(view for view in views if view)


def _find_endpoints(app: Flask, name: str) -> set[str]:
    """Find the endpoints that take what is sent to a login view, which is named by endpoint or by path.

    Many apps show the form by one function and take it by another, on the same path.
    """
    paths: set[str] = {name} if name.startswith("/") else set()
    if name in app.view_functions:
        paths = {rule.rule for rule in app.url_map.iter_rules(name)}
    found = {
        rule.endpoint for rule in app.url_map.iter_rules() if rule.rule in paths and "POST" in (rule.methods or ())
    }
    if found or not name.startswith("/"):
        return found
    try:
        endpoint, _ = app.url_map.bind("").match(name, "POST")
    except HTTPException:
        return set()
    return {endpoint}


def _note_login(app: Flask, state: State, user: Any) -> None:
    if _is_left_to_security(state):
        return
    user_id = _read_id(app, user)
    is_watched = request.endpoint in state.found_views or request.endpoint in state.seams.watched_views
    if not is_watched and user_id == user_before():
        return
    setattr(request, _NAME, True)
    fields = {"outcome": "success", "user_id": user_id}
    # What was typed is better known to a watched view.
    state.recorder.note_sign_in(fields if is_watched else fields | describe_user(user), only_missing=True)


def _note_confirmed(app: Flask, state: State) -> None:
    from flask_login import current_user

    if _is_left_to_security(state) or not current_user.is_authenticated:
        return
    setattr(request, _NAME, True)
    user = current_user._get_current_object()
    fields = {"outcome": "success", "user_id": _read_id(app, user)} | describe_user(user)
    state.recorder.note_sign_in(fields, only_missing=True)


def _note_logout(app: Flask, state: State, user: Any) -> None:
    if _is_left_to_security(state) or not getattr(user, "is_authenticated", False):
        return
    fields = {"event": "sign_out", "outcome": "success", "user_id": _read_id(app, user)}
    state.recorder.note_sign_in(fields | describe_user(user), only_missing=True)


def _read_id(app: Flask, user: Any) -> Any:
    # Flask-Login asks the user object by a method that the host may name.
    manager: Any = getattr(app, "login_manager", None)
    return read_user_id(getattr(user, getattr(manager, "id_attribute", "get_id"))())
