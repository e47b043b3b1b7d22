"""Request hooks for any login view: every POST to it is an attempt, without touching the view."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

from flask import Flask, Response, request, session, url_for
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BuildError

from ..log_unavailable import LogUnavailable
from ..recording.flows import keep_flow, settle_flow
from ..recording.guard import guarded
from ..recording.recorder import Recorder
from ..recording.seams import read_user_id
from ..vocabulary import EVENTS, KINDS, OUTCOMES

logger = logging.getLogger("melody_logs")

#: Where Flask-Login, and apps made like Flask's tutorial, keep the id of the signed-in user.
SESSION_USER_KEYS = ("_user_id", "user_id")
#: A sign-in form is small; a larger body is not parsed only to be recorded.
LARGEST_BODY_BYTES = 1024 * 1024
_NAME = "_melody_logs_watched"

#: The name of a field, several of which the first that is filled in counts, or a function.
Reader = str | tuple[str, ...] | Callable[[], Any]
Watcher = Callable[[Response], object]
T = TypeVar("T")


class View(Protocol):
    """A view whose requests are attempts, and what can be read of one when it has been answered."""

    @property
    def methods(self) -> frozenset[str]:
        """The request methods that are attempts."""

    def read(self, response: Response) -> dict[str, Any] | None:
        """Give the keywords of ``record_sign_in`` that are known; None if the request was no attempt."""


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
    methods: frozenset[str] = frozenset({"POST"})

    def __post_init__(self) -> None:
        """Refuse a word that would record nothing as expected.

        :raise ValueError: if *event* is not in the vocabulary.
        """
        if self.event not in EVENTS:
            raise ValueError(f'"event" is {self.event!r}; accepted: {", ".join(EVENTS)}')

    def read(self, response: Response) -> dict[str, Any]:
        """Read the attempt; what cannot be read is left out."""
        outcome = _read_outcome(self, response)
        fields: dict[str, Any] = {
            "event": self.event,
            "identity": _attempted(lambda: read_field(self.identity), 'the identity at "%s"', self.endpoint),
            "method": self.method,
            "outcome": outcome,
        }
        if outcome == "success":
            fields["user_id"] = _attempted(lambda: _read_user_id(self), 'the user at "%s"', self.endpoint)
        elif self.reason is not None:
            read_reason = self.reason
            fields["reason"] = _attempted(lambda: read_reason(response), 'the reason at "%s"', self.endpoint)
        return fields


@dataclass(slots=True)
class _Watched:
    """What was seen of a request: who was signed in before it, and whether it has been noted, or was refused."""

    user_before: Any = None
    is_noted: bool = False


def install(app: Flask, recorder: Recorder, found: Mapping[str, View], watchers: Iterable[Watcher] = ()) -> None:
    """Hook into the requests of *app*; at each the view is looked up in the recorder's seams, then in *found*.

    Each of the *watchers* gets the answer of each request once, after a watched view is noted; none may raise.
    """
    asked: Mapping[str, View] = recorder.seams.watched_views

    @guarded
    def begin() -> None:
        current = _current_request()
        if _watched_view(asked, found, current) is None:
            return
        _watched(current).user_before = _attempted(session_user, "the user before the request")
        require_log(recorder)

    def note(response: Response) -> None:
        current = _current_request()
        view = _watched_view(asked, found, current)
        if (view is None and not watchers) or _watched(current).is_noted:
            return
        _watched(current).is_noted = True
        fields = None if view is None else view.read(response)
        if fields is not None:
            recorder.note_sign_in(fields, only_missing=True)
        for watch in watchers:
            watch(response)

    def finish(response: Response) -> Response:
        _finish(recorder, note, response)
        return response

    @guarded
    def finish_after_exception(error: BaseException | None) -> None:
        _finish(recorder, note, None if error is None else Response(status=_status_of(error)))

    if not any(map(recorder.settings.is_enabled, KINDS)):
        return
    _hook_first(app, [keep_flow, begin], finish, finish_after_exception)


def _hook_first(app: Flask, before: list[Any], after: Any, teardown: Any) -> None:
    """Put hooks first: before a host's that signs in or answers, and, as Flask reverses the others, after all facts."""
    app.before_request_funcs.setdefault(None, [])[:0] = before
    app.after_request_funcs.setdefault(None, []).insert(0, after)
    app.teardown_request_funcs.setdefault(None, []).insert(0, teardown)


def require_log(recorder: Recorder) -> None:
    """Ask, before this request signs somebody in, whether that can be logged.

    :raise LogUnavailable: if it cannot and the app fails closed. The host is told so: the attempt is not noted as well.
    """
    try:
        recorder.require_log("sign-in")
    except LogUnavailable:
        _watched(_current_request()).is_noted = True
        raise


def _status_of(error: BaseException) -> int:
    return error.code or 500 if isinstance(error, HTTPException) else 500


def _current_request() -> Any:
    """Give the request itself: each look through Flask's proxy finds it anew, and every request of the host pays."""
    return request._get_current_object()  # type: ignore[attr-defined]


def _watched_view(asked: Mapping[str, View], found: Mapping[str, View], current: Any) -> View | None:
    endpoint = current.endpoint
    view = asked.get(endpoint) or found.get(endpoint)
    return view if view is not None and current.method in view.methods else None


def _watched(current: Any) -> _Watched:
    watched: _Watched | None = getattr(current, _NAME, None)
    if watched is None:
        watched = _Watched()
        setattr(current, _NAME, watched)
    return watched


@guarded
def _finish(recorder: Recorder, note: Callable[[Response], None], response: Response | None) -> None:
    try:
        if response is not None:
            note(response)
        recorder.finish_request()
    except Exception:
        recorder.lose("sign-in")
    settle_flow()


def _attempted(read: Callable[[], T], what: str, *names: str) -> T | None:
    """Read a fact; one that cannot be read is left out and logged, and the attempt is recorded without it."""
    try:
        return read()
    except Exception:
        logger.exception(f"{what} could not be read; the attempt is recorded without it", *names)
        return None


def ask_outcome(ask: Callable[[Response], Any] | None, response: Response) -> str | None:
    """Ask the host how an attempt ended; None if it does not say, or in no word of the vocabulary."""
    said = None if ask is None else _attempted(lambda: ask(response), 'the outcome at "%s"', str(request.endpoint))
    if isinstance(said, bool):
        return "success" if said else "failure"
    return said if isinstance(said, str) and said in OUTCOMES else None


def _read_outcome(view: WatchedView, response: Response) -> str:
    said = ask_outcome(view.outcome, response)
    if said is not None:
        return said
    succeeded = _attempted(lambda: _has_succeeded(view, response), 'the answer of "%s"', view.endpoint)
    return "success" if succeeded else "failure"


def _has_succeeded(view: WatchedView, response: Response) -> bool:
    if response.status_code >= 400:
        return False
    user, before = session_user(), user_before()
    if user != before and (user is None if view.event == "sign_out" else user is not None):
        return True
    location = redirects_to(response)
    if location is not None:
        return not leads_back(view.endpoint, location)
    # A form that is shown again has failed; an answer to a program, or an empty one, has not.
    is_page = response.mimetype in ("text/html", "application/xhtml+xml")
    return not is_page or response.status_code in (204, 205)


def redirects_to(response: Response) -> str | None:
    """Name the address that the answer leads to; None if it does not. htmx follows a header of its own."""
    if response.status_code >= 300:
        return response.location or ""
    return response.headers.get("HX-Redirect")


def leads_back(endpoint: str, location: str) -> bool:
    """Say whether a redirect goes to the login view itself, as apps do that flash a message and ask again."""
    here = request.root_path.rstrip("/") + request.path
    path = urlsplit(urljoin(here, location)).path or "/"
    try:
        own = {here, request.path, url_for(endpoint, **(request.view_args or {}))}
    except BuildError:
        own = {here, request.path}
    return path in own


def read_field(reader: Reader) -> Any:
    """Read a field of the form or the JSON body; None if it is not there, or the body too large to be parsed for it."""
    if callable(reader):
        return reader()
    if not _is_body_at_hand():
        return None
    body: Any = request.get_json(silent=True) if request.is_json else request.form
    if not isinstance(body, Mapping):
        return None
    names = (reader,) if isinstance(reader, str) else reader
    return next((body[name] for name in names if body.get(name)), None)


def _is_body_at_hand() -> bool:
    """Say whether the body can be read: the host has, or it is small. One of unknown length is left alone."""
    current = _current_request()
    seen = vars(current)
    if seen.get("_cached_data") is not None or ("form" in seen and not current.is_json):
        return True
    return 0 < (current.content_length or 0) <= LARGEST_BODY_BYTES


def _read_user_id(view: WatchedView) -> Any:
    if view.user_id is not None:
        return view.user_id()
    user = session_user()
    # Who signs out is in the session no more.
    return user_before() if user is None else user


def remember_user() -> None:
    """Note who is in the session, for :func:`user_before`: at watched views that is done already."""
    _watched(_current_request()).user_before = session_user()


def user_before() -> Any:
    """Give the id of the user who was in the session before this request."""
    return _watched(_current_request()).user_before


def session_user() -> Any:
    """Give the id of the user in the session, without marking the session as used; None if there is none."""
    # Past the proxy where possible: it would mark the session as used, and the answer would vary by cookie.
    opened: Any = getattr(request_ctx, "_session", None)
    opened = session if opened is None else opened
    accessed = getattr(opened, "accessed", None)
    try:
        found = [opened.get(key) for key in SESSION_USER_KEYS]
    finally:
        if accessed is False:
            opened.accessed = False
    for user in found:
        if user is not None:
            return read_user_id(user)
    return None
