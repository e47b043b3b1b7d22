"""Refuse changes that our own pages did not ask for: origin of the request, then the token of the session."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import current_app, request, session
from flask.sessions import NullSession
from flask_wtf.csrf import generate_csrf, validate_csrf
from werkzeug.exceptions import Forbidden
from wtforms import ValidationError

TOKEN_HEADER = "X-CSRFToken"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def has_secret() -> bool:
    """Say whether this request has a session that can keep a token, and a key to sign it: else nothing can change."""
    opened = session._get_current_object()  # type: ignore[attr-defined]
    has_key = bool(current_app.config.get("WTF_CSRF_SECRET_KEY") or current_app.secret_key)
    return has_key and not isinstance(opened, NullSession)


def token_field() -> str:
    """Name the form field of the token, which a host with Flask-WTF may have changed."""
    return str(current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token"))


def make_token() -> str:
    """Make the token of this session, the same that the host's own Flask-WTF forms use."""
    return str(generate_csrf())


def refuse_forgery() -> None:
    """Check that one of our own pages, in this session, asked for this change.

    :raise Forbidden: when another site did, or the token is missing, wrong or too old.
    """
    if not has_secret():
        raise Forbidden(
            "Nothing can be changed here, because the app has no SECRET_KEY to sign its forms with, "
            'or its session interface opens no session. Set app.config["SECRET_KEY"], then try again.'
        )
    if not _comes_from_here():
        raise Forbidden("Another site asked for this change, so it was refused. Nothing was changed.")
    try:
        validate_csrf(request.form.get(token_field()) or request.headers.get(TOKEN_HEADER))
    except ValidationError:
        raise Forbidden(
            "The form was not sent by this session, or it stood open for too long. "
            "Nothing was changed. Open the page again, then repeat."
        ) from None


def _comes_from_here() -> bool:
    # Browsers set Sec-Fetch-Site and no script can change it; "none" is the user's own reload of an answer.
    fetch_site = request.headers.get("Sec-Fetch-Site")
    if fetch_site not in (None, "same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    # A proxy that ends TLS leaves http in our scheme, so only host and port are compared.
    if origin is None:
        return True
    place = _place(origin)
    return place is not None and place == _place(f"{urlsplit(origin).scheme}://{request.host}")


def _place(url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None
