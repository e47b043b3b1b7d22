"""Basic, digest and token authentication by Flask-HTTPAuth, where credentials come with every request."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar
from uuid import UUID

from flask import Flask, request, session

from ..log_unavailable import LogUnavailable
from ..recording.addresses import canonical_address
from ..recording.flood import network_of
from ..recording.guard import ask_host, guarded
from ..recording.seams import read_user_id
from ..state import State
from .integration import Integration, state_with
from .sign_in_views import require_log
from .wrapping import wrap_once

#: Who comes again within this pause is still the one who came before; but once a day there is an entry.
DAY_SECONDS = 24 * 3600.0
#: So many visitors are remembered, at most twice; of whom is forgotten the next request is an entry again.
MOST_VISITORS = 5_000
#: What an account's own name is called.
_NAMES = ("username", "email", "name")
#: A longer name may be a token in place of a name.
_LONGEST_NAME = 64


class FlaskHTTPAuth(Integration):
    """Sign-ins by ``HTTPBasicAuth``, ``HTTPDigestAuth``, ``HTTPTokenAuth``, also within ``MultiAuth``.

    Credentials come with every request, so a success is an entry only if none with the same name or token, network and
    user agent came within the pause, or within a day, or if a failure of theirs came between. Each process counts for
    itself. A refused credential is always an entry; the flood guard counts many alike as one. A request without
    credentials is no attempt, nor is a digest for a nonce that the session does not have any more.

    A token is never kept, nor is a name that may be one: it is masked unless it is an email address, a phone number, or
    what the account itself is called. Why a credential was refused is not known.

    :param pause_minutes: how long a visitor may stay away; 0 makes each request an entry.
    :param endpoint: views at which every success is an entry, one or several, as each gives out a token.
    :param user_id: gets what the host's callback returned, and returns the user's id; by default its ``id``.
    """

    name = "flask-httpauth"
    distribution = "flask-httpauth"
    module = "flask_httpauth"
    extra = "flask-httpauth"
    least_version = (4, 8)
    records: ClassVar[str] = "refused credentials; successes once a visit"

    def __init__(
        self,
        *,
        pause_minutes: float = 30,
        endpoint: str | Iterable[str] = (),
        user_id: Callable[[Any], Any] | None = None,
    ) -> None:
        self.endpoints = frozenset({endpoint} if isinstance(endpoint, str) else endpoint)
        self.user_id = user_id
        self.visits = Visits(pause_minutes * 60)

    def connect(self, app: Flask, state: State) -> None:
        """Wrap what checks credentials in the three classes, once a process."""
        from flask_httpauth import HTTPBasicAuth, HTTPDigestAuth, HTTPTokenAuth

        wrap_once(HTTPBasicAuth, "authenticate", _watch("password"))
        wrap_once(HTTPDigestAuth, "authenticate", _watch("password", answers_bool=True))
        wrap_once(HTTPTokenAuth, "authenticate", _watch("token"))

    def covers(self, app: Flask, endpoint: str) -> bool:
        """Say whether *endpoint* is named."""
        return endpoint in self.endpoints

    def find_gaps(self, app: Flask) -> Iterable[str]:
        """Name endpoints that the app does not have."""
        for endpoint in sorted(self.endpoints - app.view_functions.keys()):
            yield f'the app has no endpoint "{endpoint}": correct it in FlaskHTTPAuth()'


class Visits:
    """Who came lately, in this process. Threads may share it: at worst one visitor is new twice.

    :param clock: seconds, never going back.
    """

    def __init__(self, pause_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_seconds = pause_seconds
        self._clock = clock
        #: When somebody was recorded, and when last seen. The older half goes when the newer one is full.
        self._newer: dict[int, tuple[float, float]] = {}
        self._older: dict[int, tuple[float, float]] = {}

    def begins(self, visitor: int) -> bool:
        """Note that *visitor* is here, and say whether that begins a visit."""
        now = self._clock()
        recorded, seen = self._newer.get(visitor) or self._older.get(visitor) or (-math.inf, now)
        is_new = now - seen >= self._pause_seconds or now - recorded >= DAY_SECONDS
        if len(self._newer) >= MOST_VISITORS:
            self._older, self._newer = self._newer, {}
        self._newer[visitor] = (now if is_new else recorded, now)
        return is_new

    def end(self, visitor: int) -> None:
        """Let the next time of *visitor* begin a visit."""
        self._newer.pop(visitor, None)
        self._older.pop(visitor, None)


def _watch(method: str, *, answers_bool: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def authenticate(auth: Any, credentials: Any, *args: Any, **kwargs: Any) -> Any:
            state = _find_state()
            if state is None or not _are_credentials(auth, credentials):
                return original(auth, credentials, *args, **kwargs)
            try:
                user = original(auth, credentials, *args, **kwargs)
            except Exception:
                _note_failure(state, method, credentials)
                raise
            if user is None or user is False:
                _note_failure(state, method, credentials)
            else:
                # A digest is right for a name that the host's callback knew.
                _note_success(state, method, credentials, credentials.username if answers_bool else user)
            return user

        return authenticate

    return make


@guarded
def _find_state() -> State | None:
    state = state_with(FlaskHTTPAuth.name)
    return state if state is not None and state.settings.enable_sign_in_log else None


@guarded
def _are_credentials(auth: Any, credentials: Any) -> bool:
    if not credentials or not (credentials.username or getattr(credentials, "token", None)):
        return False
    # Without its nonce the browser is asked again, and no password was compared.
    check = getattr(auth, "verify_nonce_callback", None)
    is_default = getattr(check, "__name__", None) == "default_verify_nonce"
    return not is_default or credentials.nonce == session.get("auth_nonce")


@guarded
def _note_failure(state: State, method: str, credentials: Any) -> None:
    _visits_of(state).end(_visitor(state, credentials))
    state.recorder.note_sign_in({"method": method, "outcome": "failure", "identity": credentials.username})


@guarded
def _note_success(state: State, method: str, credentials: Any, user: Any) -> None:
    integration: FlaskHTTPAuth = state.integrations[FlaskHTTPAuth.name]
    is_new = integration.visits.begins(_visitor(state, credentials))
    if not is_new and request.endpoint not in integration.endpoints:
        return
    try:
        require_log(state.recorder)
    except LogUnavailable:
        integration.visits.end(_visitor(state, credentials))
        raise
    state.recorder.note_sign_in({"method": method, "outcome": "success", **_name_user(integration, credentials, user)})


def _visits_of(state: State) -> Visits:
    visits: Visits = state.integrations[FlaskHTTPAuth.name].visits
    return visits


def _visitor(state: State, credentials: Any) -> int:
    """Tell visitors apart, also those of several apps; nothing that they sent is kept."""
    network = network_of(canonical_address(request.remote_addr))
    agent = request.headers.get("User-Agent")
    who = (credentials.type, credentials.username, getattr(credentials, "token", None))
    return hash((id(state), *who, network, agent))


def _name_user(integration: FlaskHTTPAuth, credentials: Any, user: Any) -> dict[str, Any]:
    typed, token = credentials.username, getattr(credentials, "token", None)
    named = [user] if isinstance(user, str) else [getattr(user, name, None) for name in _NAMES]
    names = [name for name in named if isinstance(name, str) and name != token and len(name) <= _LONGEST_NAME]
    # Some hosts take a token in place of the name, so what was typed is not taken for one.
    identity = typed if typed in names or not names else names[0]
    user_id = _read_user_id(integration, user)
    is_secret = user_id in (token, None if typed in names else typed)
    return {"identity": identity, "account_known": bool(names), "user_id": None if is_secret else user_id}


def _read_user_id(integration: FlaskHTTPAuth, user: Any) -> Any:
    if integration.user_id is not None:
        return ask_host(integration.user_id, user)
    found = user.get("id") if isinstance(user, dict) else getattr(user, "id", None)
    return read_user_id(found) if isinstance(found, int | str | UUID) and not isinstance(found, bool) else None
