"""Request hooks for any login view: every POST to it is an attempt, without touching the view."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, g, request, session, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BuildError

from ..recording.recorder import Recorder
from ..vocabulary import OUTCOMES

logger = logging.getLogger("melody_logs")

#: Where Flask-Login, and apps made like Flask's tutorial, keep the id of the signed-in user.
SESSION_USER_KEYS = ("_user_id", "user_id")
#: A sign-in form is small; a larger body is not parsed only to be recorded.
LARGEST_BODY_BYTES = 1024 * 1024
_G_NAME = "_melody_logs_user_before"

Reader = str | Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedView:
    """How to read an attempt at one login view; see :meth:`MelodyLogs.watch_sign_in`."""

    endpoint: str
    identity: Reader
    event: str
    method: str | None
    user_id: Callable[[], Any] | None
    outcome: Callable[[Response], Any] | None
    reason: Callable[[Response], Any] | None


def install(app: Flask, recorder: Recorder) -> None:
    """Hook into the requests of *app*; the views are looked up in the recorder's seams at each request."""
    views: Mapping[str, WatchedView] = recorder.seams.watched_views

    @app.before_request
    def remember_user() -> None:
        if _watched_view(views) is not None:
            setattr(g, _G_NAME, _session_user())

    # Registered first, so it runs last: after every hook of the host and of ours that may add a fact.
    @app.after_request
    def finish(response: Response) -> Response:
        view = _watched_view(views)
        if view is not None:
            _note(recorder, view, response)
        _finish_quietly(recorder)
        return response

    @app.teardown_request
    def finish_after_exception(error: BaseException | None) -> None:
        view = _watched_view(views)
        if error is not None and view is not None:
            status = error.code or 500 if isinstance(error, HTTPException) else 500
            _note(recorder, view, Response(status=status))
        _finish_quietly(recorder)


def _watched_view(views: Mapping[str, WatchedView]) -> WatchedView | None:
    return views.get(request.endpoint or "") if views and request.method == "POST" else None


def _finish_quietly(recorder: Recorder) -> None:
    try:
        recorder.finish_request()
    except Exception:
        logger.exception("what this request gathered could not be recorded; the host goes on")


def _note(recorder: Recorder, view: WatchedView, response: Response) -> None:
    try:
        outcome = _read_outcome(view, response)
        fields = {
            "event": view.event,
            "identity": _read_identity(view.identity),
            "method": view.method,
            "outcome": outcome,
            "user_id": _read_user_id(view) if outcome == "success" else None,
            "reason": view.reason(response) if view.reason and outcome != "success" else None,
        }
        recorder.note_sign_in(fields, only_missing=True)
    except Exception:
        logger.exception('the attempt at "%s" could not be read; the host goes on', view.endpoint)


def _read_outcome(view: WatchedView, response: Response) -> str:
    if view.outcome is not None:
        said = view.outcome(response)
        if isinstance(said, str) and said in OUTCOMES:
            return said
        if isinstance(said, bool):
            return "success" if said else "failure"
    if response.status_code >= 400:
        return "failure"
    user = _session_user()
    if user is not None and user != g.get(_G_NAME):
        return "success"
    if response.status_code >= 300:
        return "failure" if _leads_back(view, response.location or "") else "success"
    # A form that is shown again has failed; an answer to a program has not.
    return "failure" if response.mimetype in ("text/html", "application/xhtml+xml") else "success"


def _leads_back(view: WatchedView, location: str) -> bool:
    """Say whether a redirect goes to the login view itself, as apps do that flash a message and ask again."""
    path = location.split("?", 1)[0].split("#", 1)[0]
    if "://" in path:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    try:
        own = {request.path, url_for(view.endpoint, **(request.view_args or {}))}
    except BuildError:
        own = {request.path}
    return path in own


def _read_identity(reader: Reader) -> Any:
    if callable(reader):
        return reader()
    if (request.content_length or 0) > LARGEST_BODY_BYTES:
        return None
    if request.is_json:
        body = request.get_json(silent=True)
        return body.get(reader) if isinstance(body, dict) else None
    return request.form.get(reader)


def _read_user_id(view: WatchedView) -> Any:
    if view.user_id is not None:
        return view.user_id()
    return _session_user()


def _session_user() -> Any:
    for key in SESSION_USER_KEYS:
        if session and session.get(key) is not None:
            user = session[key]
            # Flask-Login keeps the id as text, whatever it was: what reads as a number was one.
            return int(user) if isinstance(user, str) and re.fullmatch(r"0|[1-9][0-9]{0,17}", user) else user
    return None
