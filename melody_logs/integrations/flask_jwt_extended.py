"""Sign-ins, token refreshes and sign-outs by the tokens of Flask-JWT-Extended."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from flask import Flask, Response, request

from ..recording.guard import guarded
from ..recording.seams import read_user_id
from ..state import State
from .flask_login import IDENTITY_FIELDS
from .integration import Integration
from .jwt_tokens import INTEGRATION, Tokens, current_tokens, subject_of, watch_tokens
from .sign_in_views import Reader, ask_outcome, read_field

_MAKERS = frozenset({"create_access_token", "create_refresh_token"})
#: Why a refresh token was refused, by the name of the library's exception.
_REASONS = {
    "ExpiredSignatureError": "expired_token",
    "RevokedTokenError": "revoked_token",
    "WrongTokenError": "wrong_token",
    "FreshTokenRequired": "stale_token",
    "CSRFError": "csrf",
}


class FlaskJWTExtended(Integration):
    """Sign-ins at the views that give out tokens, token refreshes, and with ``logout_endpoint`` sign-outs.

    A request in which a token is made is a sign-in of its subject; with a refresh token, or with an access token of the
    same subject, it is a token refresh. An access token that comes with a request is no sign-in, and no failure when it
    is refused. A token that is made for somebody else, by a user who came with a token, is none either.

    A failed sign-in makes no token, so the view must be known: a POST to one of *endpoint* that ends without a token;
    if none is named, one that is answered with 400, 401, 403, 429 or an error of the server, at a view whose own code
    calls ``create_access_token()`` or that has signed somebody in since the process began.

    :param endpoint: the views that sign in, one or several, such as ``"auth.login"``.
    :param logout_endpoint: the views that revoke the token they are asked with, one or several.
    :param identity: the name of the form or JSON field, or a function that returns the identity as typed; by default
        the first of ``email``, ``username``, ``login``, ``identity`` and ``user``.
    :param method: how users sign in at these views.
    :param outcome: gets the answer of a view that signs in, and returns a bool or one of the vocabulary's outcomes, or
        None: then it succeeded if a token was made and the answer is no error.
    :param reason: gets the answer to a sign-in that did not succeed and returns why.
    """

    name = INTEGRATION
    distribution = "flask-jwt-extended"
    module = "flask_jwt_extended"
    extra = "flask-jwt-extended"
    least_version = (4, 6)
    records: ClassVar[str] = "sign-ins, token refreshes, sign-outs of named endpoints"

    def __init__(
        self,
        *,
        endpoint: str | Iterable[str] = (),
        logout_endpoint: str | Iterable[str] = (),
        identity: Reader = IDENTITY_FIELDS,
        method: str | None = "password",
        outcome: Callable[[Response], Any] | None = None,
        reason: Callable[[Response], Any] | None = None,
    ) -> None:
        self.endpoints = _names(endpoint)
        self.logout_endpoints = _names(logout_endpoint)
        self.identity = identity
        self.method = method
        self.outcome = outcome
        self.reason = reason
        #: Whether a view signs in, by app and endpoint, as far as that is known.
        self._seen: weakref.WeakKeyDictionary[Flask, dict[str, bool]] = weakref.WeakKeyDictionary()

    def is_used(self, app: Flask) -> bool:
        """Say whether a ``JWTManager`` is initialised on *app*."""
        return self.name in app.extensions

    def connect(self, app: Flask, state: State) -> None:
        """Wrap what makes and reads tokens, once a process, and look at the answers of *app*."""
        watch_tokens()

        @guarded
        def judge(response: Response) -> None:
            _judge(app, state, response)

        state.answer_watchers.append(judge)

    def covers(self, app: Flask, endpoint: str) -> bool:
        """Say whether *endpoint* is named, or its code makes tokens."""
        return endpoint in self.endpoints | self.logout_endpoints or self.signs_in(app, endpoint)

    def find_gaps(self, app: Flask) -> Iterator[str]:
        """Name the failures and sign-outs that cannot be seen, and endpoints that the app does not have."""
        if self.name not in app.extensions:
            yield "tokens are not seen: no JWTManager is initialised on the app"
        for endpoint in sorted((self.endpoints | self.logout_endpoints) - app.view_functions.keys()):
            yield f'the app has no endpoint "{endpoint}": correct it in FlaskJWTExtended()'
        if not self.endpoints and not any(self.signs_in(app, endpoint) for endpoint in app.view_functions):
            yield (
                "failed sign-ins are seen only after a token was given out since the process began: name the view, "
                'logs.use(FlaskJWTExtended(endpoint="auth.login"))'
            )
        if not self.logout_endpoints:
            yield (
                "sign-outs leave no trace: name the view that revokes tokens, "
                'logs.use(FlaskJWTExtended(logout_endpoint="auth.logout"))'
            )

    def signs_in(self, app: Flask, endpoint: str) -> bool:
        """Say whether the view of *endpoint* is known to give out tokens."""
        if endpoint not in app.view_functions:
            return False
        seen = self._seen.setdefault(app, {})
        if endpoint not in seen:
            seen[endpoint] = _makes_tokens(app.view_functions[endpoint])
        return seen[endpoint]

    def learn(self, app: Flask, endpoint: str) -> None:
        """Note that a view has given out tokens."""
        self._seen.setdefault(app, {})[endpoint] = True


def _names(given: str | Iterable[str]) -> frozenset[str]:
    return frozenset({given} if isinstance(given, str) else given)


def _makes_tokens(view: Any) -> bool:
    """Say whether the code of a view, below its decorators, names a function that makes tokens."""
    view_class = getattr(view, "view_class", None)
    found = getattr(view_class, "post", view)
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    code = getattr(found, "__code__", None)
    return code is not None and not _MAKERS.isdisjoint(code.co_names)


def _judge(app: Flask, state: State, response: Response) -> None:
    """Note what this request was, now that its answer is known."""
    if not state.settings.enable_sign_in_log:
        return
    integration: FlaskJWTExtended = state.integrations[FlaskJWTExtended.name]
    tokens, endpoint = current_tokens(), request.endpoint
    if endpoint in integration.logout_endpoints:
        fields = _sign_out(tokens, response)
    elif tokens.is_refreshing:
        fields = _refresh(tokens, response)
    elif tokens.brought and endpoint not in integration.endpoints:
        is_own = tokens.is_made and tokens.subject == subject_of(tokens.brought)
        fields = _refresh(tokens, response) if is_own else None
    else:
        fields = _sign_in(app, integration, tokens, response)
    if fields is not None:
        state.recorder.note_sign_in(fields, only_missing=True)


def _sign_out(tokens: Tokens, response: Response) -> dict[str, Any] | None:
    if not tokens.brought or response.status_code >= 400:
        return None
    user_id = read_user_id(subject_of(tokens.brought))
    return {"event": "sign_out", "outcome": "success", "method": "token", "user_id": user_id}


def _refresh(tokens: Tokens, response: Response) -> dict[str, Any] | None:
    fields: dict[str, Any] = {"event": "token_refresh", "method": "token"}
    if response.status_code < 400:
        subject = subject_of(tokens.brought) or tokens.subject
        return fields | {"outcome": "success", "user_id": read_user_id(subject)} if tokens.is_made else None
    # Whoever brings no token has not tried.
    if tokens.refusal == "NoAuthorizationError":
        return None
    reason = None if tokens.refusal is None else _REASONS.get(tokens.refusal, "invalid_token")
    subject = subject_of(tokens.brought or tokens.refused)
    return fields | {"outcome": "failure", "reason": reason, "user_id": read_user_id(subject)}


def _sign_in(app: Flask, integration: FlaskJWTExtended, tokens: Tokens, response: Response) -> dict[str, Any] | None:
    if not tokens.is_made and not _has_tried(app, integration, tokens, response):
        return None
    if tokens.is_made and request.endpoint is not None and response.status_code < 400:
        integration.learn(app, request.endpoint)
    outcome = _read_outcome(integration, tokens, response)
    fields = {"outcome": outcome, "method": integration.method, "identity": _read_typed(integration)}
    if outcome == "success":
        return fields | {"user_id": read_user_id(tokens.subject)}
    said = guarded(integration.reason)(response) if integration.reason is not None else None
    return fields | {"reason": "rate_limited" if said is None and response.status_code == 429 else said}


def _has_tried(app: Flask, integration: FlaskJWTExtended, tokens: Tokens, response: Response) -> bool:
    """Say whether a request in which no token was made was meant to sign in."""
    if request.method != "POST":
        return False
    if integration.endpoints:
        return request.endpoint in integration.endpoints
    # A view that is only thought to sign in may do other things, and refuse a body for other reasons.
    is_refusal = response.status_code in (400, 401, 403, 429) or response.status_code >= 500
    return is_refusal and tokens.refusal is None and integration.signs_in(app, request.endpoint or "")


@guarded
def _read_typed(integration: FlaskJWTExtended) -> Any:
    return read_field(integration.identity)


def _read_outcome(integration: FlaskJWTExtended, tokens: Tokens, response: Response) -> str:
    said = ask_outcome(integration.outcome, response)
    return said or ("success" if tokens.is_made and response.status_code < 400 else "failure")
