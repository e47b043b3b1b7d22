"""Who may call: a bearer token (RFC 6750) with a scope that fits the method."""

from __future__ import annotations

from http import HTTPStatus

from flask import g, request

from ..clients.tokens import Caller, InvalidTokenError
from .problems import ProblemError
from .services import services_of

REALM = "melody_logs"
READING_SCOPES = ("root", "read_log", "write_log")
DELETING_SCOPES = ("root", "write_log")


def require_token() -> None:
    """Refuse a request without a good token: runs before every view of the API, so that none can be left open.

    :raise ProblemError: 400 for two ``Authorization`` headers, else 401; a token without the scope gets 401 as well,
        as the clients of this contract expect it.
    """
    try:
        caller = services_of().authority.verify_token(_read_token())
    except InvalidTokenError as error:
        raise _unauthorized(f"The access token was refused: {error}.", "invalid_token") from None
    needed = READING_SCOPES if request.method in ("GET", "HEAD", "OPTIONS") else DELETING_SCOPES
    if caller.scopes.isdisjoint(needed):
        detail = f"The access token has none of the scopes that allow this: {', '.join(needed)}."
        raise _unauthorized(detail, "insufficient_scope", needed)
    g._melody_logs_caller = caller


def current_caller() -> Caller:
    """Give who calls, once :func:`require_token` has let the request in."""
    caller: Caller = g._melody_logs_caller
    return caller


def refuse_two_authorizations(challenge: str) -> None:
    """Refuse a request with two ``Authorization`` headers, which servers join with a comma; ours never has one.

    :raise ProblemError: 400.
    """
    if "," in request.headers.get("Authorization", ""):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            'There are two "Authorization" headers; send one.',
            headers={"WWW-Authenticate": challenge},
        )


def _read_token() -> str:
    refuse_two_authorizations(f'Bearer realm="{REALM}", error="invalid_request"')
    # The name of a scheme has no case (RFC 9110, section 11.1).
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthorized('Send an access token: "Authorization: Bearer TOKEN".')
    return token.strip()


def _unauthorized(detail: str, error: str | None = None, scopes: tuple[str, ...] = ()) -> ProblemError:
    challenge = f'Bearer realm="{REALM}"'
    if error:
        # Without a token there is no error code to give (RFC 6750, section 3.1).
        challenge += f', error="{error}"'
    if scopes:
        challenge += f', scope="{" ".join(scopes)}"'
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})
