"""Who may enter: one guard for every page, closed until the host opens it with ``admin_access``."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from flask import current_app, g, request
from werkzeug.exceptions import Forbidden, HTTPException
from werkzeug.wrappers import Response

from ..state import state_of
from ..vocabulary import PERMISSIONS
from .forgery import refuse_forgery

_logger = logging.getLogger("melody_logs")
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def guard() -> Response | None:
    """Let a request in, or refuse it; the stylesheet and scripts are open, for the page that refuses needs them.

    What the host's ``admin_access`` raises as an ``HTTPException`` (``abort(401)``), or returns as a response (a
    redirect to its sign-in page), is the answer.

    :raise Forbidden: without the permission that the view needs, or where a change was not asked for by our own page.
    """
    g.melody_logs_permissions = frozenset()
    if request.blueprint is not None and request.endpoint == f"{request.blueprint}.static":
        return None
    granted = _ask_host()
    if isinstance(granted, Response):
        return granted
    g.melody_logs_permissions = _read_safely(granted)
    is_change = request.method not in _SAFE_METHODS
    needed = "write" if is_change or _view_needs_write() else "read"
    if needed not in g.melody_logs_permissions:
        raise Forbidden(_explain_refusal(needed))
    if is_change:
        refuse_forgery()
    return None


def may_write() -> bool:
    """Say whether this request's visitor may change something."""
    return "write" in g.get("melody_logs_permissions", ())


def read_permissions(granted: Any) -> frozenset[str]:
    """Read what ``admin_access`` answered: None, a permission, or a set of them; ``write`` includes ``read``.

    Anything else gives no access and is logged.
    """
    if granted is None:
        return frozenset()
    words = [granted] if isinstance(granted, str) else granted
    if not isinstance(words, Iterable) or isinstance(words, bytes | dict):
        words = [words]
    asked = list(words)
    unknown = [word for word in asked if word not in PERMISSIONS]
    if unknown:
        _logger.error(
            "admin_access answered %r, which gives no access; accepted: None, %s, or a set of them",
            granted,
            ", ".join(f'"{word}"' for word in PERMISSIONS),
        )
        return frozenset()
    return frozenset(PERMISSIONS) if "write" in asked else frozenset(asked)


def _ask_host() -> Any:
    admin_access = state_of().admin_access
    if admin_access is None:
        return None
    try:
        return admin_access()
    except HTTPException:
        raise
    except Exception:
        _logger.exception("admin_access raised; nobody is let in")
        return None


def _read_safely(granted: Any) -> frozenset[str]:
    try:
        return read_permissions(granted)
    except Exception:
        _logger.exception("the answer of admin_access could not be read; nobody is let in")
        return frozenset()


def _view_needs_write() -> bool:
    view = current_app.view_functions.get(request.endpoint or "")
    return bool(getattr(view, "needs_write", False))


def _explain_refusal(needed: str) -> str:
    if state_of().admin_access is None:
        return "These pages are closed: the app has not said yet who may enter."
    if needed == "write" and "read" in g.melody_logs_permissions:
        return "You may look at the logs, but not change them."
    return "The app does not let you see the logs. Sign in with an account that may, then come back."
