"""What a request does with tokens of Flask-JWT-Extended: which it brings, which it gets, which are refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import current_app, has_request_context, request

from ..recording.guard import guarded
from .integration import state_with
from .sign_in_views import require_log
from .wrapping import wrap_once

#: The integration whose app is asked.
INTEGRATION = "flask-jwt-extended"
_ATTRIBUTE = "_melody_logs_tokens"


@dataclass(slots=True)
class Tokens:
    """What a request did with tokens: made some for a subject, brought one, brought one that was refused.

    ``refusal`` is the name of the library's exception; the claims are there if the signature was right.
    """

    subject: Any = None
    is_made: bool = False
    brought: Any = None
    is_refreshing: bool = False
    refusal: str | None = None
    refused: Any = None


def watch_tokens() -> None:
    """Wrap what makes and what reads tokens, once a process."""
    from flask_jwt_extended import JWTManager, view_decorators

    wrap_once(JWTManager, "_encode_jwt_from_config", _watch_making)
    # jwt_required() and verify_jwt_in_request() both look it up in their module at each call.
    wrap_once(view_decorators, "_decode_jwt_from_request", _watch_reading)


def current_tokens() -> Tokens:
    """Give what the current request did with tokens."""
    current: Any = request._get_current_object()  # type: ignore[attr-defined]
    tokens: Tokens | None = getattr(current, _ATTRIBUTE, None)
    if tokens is None:
        tokens = Tokens()
        setattr(current, _ATTRIBUTE, tokens)
    return tokens


def _watch_making(original: Callable[..., str]) -> Callable[..., str]:
    def encode(manager: Any, *args: Any, **kwargs: Any) -> str:
        tokens = _find_tokens()
        if tokens is None:
            return original(manager, *args, **kwargs)
        _require_log()
        token = original(manager, *args, **kwargs)
        _note_made(tokens, token)
        return token

    return encode


def _watch_reading(original: Callable[..., Any]) -> Callable[..., Any]:
    def decode(locations: Any, fresh: Any, *args: Any, **kwargs: Any) -> Any:
        tokens = _find_tokens()
        if tokens is None:
            return original(locations, fresh, *args, **kwargs)
        is_refresh = bool(args[0] if args else kwargs.get("refresh"))
        tokens.is_refreshing |= is_refresh
        try:
            found = original(locations, fresh, *args, **kwargs)
        except Exception as error:
            # Not the exception itself: its frames would keep the request in memory.
            tokens.refusal, tokens.refused = type(error).__name__, getattr(error, "jwt_data", None)
            raise
        _note_brought(tokens, found)
        return found

    return decode


@guarded
def _find_tokens() -> Tokens | None:
    """Give what is known of the tokens of this request; None if nothing is to be recorded."""
    state = state_with(INTEGRATION)
    if state is None or not state.settings.enable_sign_in_log or not has_request_context():
        return None
    return current_tokens()


def _require_log() -> None:
    state = state_with(INTEGRATION)
    if state is not None:
        require_log(state.recorder)


@guarded
def _note_made(tokens: Tokens, token: str) -> None:
    tokens.is_made = True
    tokens.subject = subject_of(_read_claims(token))


@guarded
def _note_brought(tokens: Tokens, found: Any) -> None:
    tokens.brought = found[0]


def _read_claims(token: str) -> dict[str, Any]:
    """Read the claims of a token that was just made: RFC 7519, section 3."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def subject_of(claims: Any) -> Any:
    """Give the subject of a token's claims, text or a number; None without one."""
    subject = claims.get(current_app.config["JWT_IDENTITY_CLAIM"]) if isinstance(claims, dict) else None
    return subject if isinstance(subject, str | int) and not isinstance(subject, bool) else None
