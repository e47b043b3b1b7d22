"""Our own error pages: what happened, what was kept, what to do. Set on our blueprint only."""

from __future__ import annotations

import logging
import uuid

from flask import Blueprint, current_app, url_for
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from ..errors import StorageUnavailableError
from ..state import state_of
from .rendering import render
from .words import begin

_logger = logging.getLogger("melody_logs")
_TITLES = {
    400: "This request was not understood",
    401: "Please sign in first",
    403: "You may not do this",
    404: "There is nothing here",
    405: "This page cannot do that",
    413: "This request is too large",
    415: "This request was not understood",
    429: "Too many requests",
}
_TEXTS = {
    401: "These pages are for people whom the app knows. Sign in to the app, then come back.",
    404: "There is no such row or page, or the row was cleaned meanwhile.",
}
LINES_TO_ADD = """@logs.admin_access
def who_may_enter():
    return "write" if current_user.is_authenticated and current_user.is_admin else None"""


def register_problem_pages(blueprint: Blueprint) -> None:
    """Set the error pages on *blueprint*.

    Each code has its own entry, because Flask asks the app's handler of a code before a blueprint's of all codes.
    """
    for code in _TITLES:
        blueprint.register_error_handler(code, _show_refusal)
    blueprint.register_error_handler(500, _show_failure)
    # A host's page for every Exception would come before ours for 500.
    blueprint.register_error_handler(Exception, _show_unexpected)
    blueprint.register_error_handler(OperationalError, _show_no_database)
    blueprint.register_error_handler(StorageUnavailableError, _show_no_database)


def _show_refusal(error: Exception) -> tuple[str, int] | Response:
    assert isinstance(error, HTTPException)
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    code = error.code or 400
    ours = type(error).description != error.description
    is_closed = code == 403 and state_of().admin_access is None
    text = error.description if ours else _TEXTS.get(code, "")
    title = "These pages are closed" if is_closed else _TITLES.get(code, error.name)
    return _render_problem(title, text or "", LINES_TO_ADD if is_closed and current_app.debug else ""), code


def _show_no_database(error: Exception) -> tuple[str, int]:
    if isinstance(error, StorageUnavailableError):
        title, reason = "The logs cannot be read as the database is now", str(error)
        remedy = f"{begin(reason)}."
    else:
        title, reason = "The log database cannot be reached", str(getattr(error, "orig", error)).strip()
        remedy = "See what is wrong with: flask melody-logs health."
    # Without a traceback: it is the database that is wrong, and each look at a page would write one.
    _logger.error("an admin page could not be made: %s", reason)
    return _render_problem(title, f"Recording goes on: entries wait on the disk until it works. {remedy}"), 503


def _show_unexpected(error: Exception) -> tuple[str, int] | Response:
    return _show_refusal(error) if isinstance(error, HTTPException) else _show_failure(error)


def _show_failure(error: Exception) -> tuple[str, int]:
    number = uuid.uuid4().hex[:12]
    _logger.error("an admin page failed, number %s", number, exc_info=getattr(error, "original_exception", error))
    text = f"What is recorded is not affected. The cause stands in the app's log, under number {number}."
    return _render_problem("This page could not be made", text), 500


def _render_problem(title: str, text: str, code: str = "") -> str:
    return render(
        "problem.html",
        "_problem.html",
        page_title=title,
        title=title,
        text=text,
        code=code,
        back=url_for(".overview"),
        may_look=False,
    )
