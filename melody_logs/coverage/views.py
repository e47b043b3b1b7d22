"""Views of the app that look like authentication and leave no trace."""

from __future__ import annotations

import functools
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import CodeType
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.routing import Rule

from ..state import State
from ..storage.recent_rows import RecentRows
from .remarks import Remark

_OWN = "melody_logs"
_SIGN_IN_CALLS = frozenset({"record_sign_in", "sign_in_attempted"})
_MESSAGE_CALLS = frozenset({"record_email", "record_sms", "sending_email", "sending_sms", "email_sent", "sms_sent"})
#: So many successes without anything else are too many to be luck.
MANY_SUCCESSES = 20
_MOST_NAMES = 10_000


class _Likeness(NamedTuple):
    """What a view may be, and what watches it; *event* is None where a message is the trace."""

    pattern: re.Pattern[str]
    what: str
    event: str | None


def _whole_words(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z0-9])(?:{words})(?![a-z0-9])")


#: The first that fits counts.
_LIKENESSES = (
    _Likeness(_whole_words("refresh(?:[-_]token)?|token[-_]refresh"), "a token refresh", "token_refresh"),
    _Likeness(_whole_words("forgot(?:ten)?|recover|recovery|reset|resets"), "a password reset", "password_reset"),
    _Likeness(_whole_words("register|registration|sign[-_]?up"), "a registration", None),
    _Likeness(_whole_words("verify|verification|mfa|2fa|otp|totp|two[-_]?factor|tf"), "a second factor", "sign_in"),
    _Likeness(_whole_words("(?:log|sign)[-_]?[io]n|authenticate|tokens?|jwt"), "a sign-in", "sign_in"),
)


def examine_views(app: Flask, state: State, recent: RecentRows | None, told: Iterable[str]) -> Iterator[Remark]:
    """Find POST views that look like authentication and are neither watched, nor covered, nor seen in the logs.

    :param told: what was said already; an endpoint that is named in it is not told again.
    """
    if not state.settings.enable_sign_in_log:
        return
    said = " ".join(told)
    for endpoint, rule, likeness in _alike(app):
        if endpoint in state.seams.watched_views or endpoint in state.found_views or f'"{endpoint}"' in said:
            continue
        if any(one.covers(app, endpoint) for one in state.integrations.values()):
            continue
        outcomes = recent.outcomes.get(endpoint, Counter()) if recent else Counter()
        where = f'POST {rule.rule} ("{endpoint}")'
        if _only_succeeds(outcomes, likeness):
            evidence = f"{outcomes['success']:,} successes and nothing else among the newest rows"
            yield Remark(
                "Sign-in views", f"{where}: only successes are recorded", evidence, _remedy(endpoint, likeness)
            )
        elif not outcomes and not _leaves_message(endpoint, likeness, recent) and not _records(app, endpoint, likeness):
            evidence = "not watched, covered by no integration, in no row of 30 days, and its code records nothing"
            text = f"{where} looks like {likeness.what} and leaves no trace"
            yield Remark("Sign-in views", text, evidence, _remedy(endpoint, likeness))


def _alike(app: Flask) -> Iterator[tuple[str, Rule, _Likeness]]:
    seen: set[str] = set()
    for rule in app.url_map.iter_rules():
        endpoint = rule.endpoint
        if "POST" not in (rule.methods or ()) or endpoint in seen or endpoint.startswith(_OWN):
            continue
        # Words of "LoginView" apart too; placeholders such as <token> say nothing of the view.
        path = re.sub(r"<[^>]*>", "", rule.rule)
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", f"{endpoint} {path}").lower()
        for likeness in _LIKENESSES:
            if likeness.pattern.search(name):
                seen.add(endpoint)
                yield endpoint, rule, likeness
                break


def _only_succeeds(outcomes: Counter[str], likeness: _Likeness) -> bool:
    return likeness.event == "sign_in" and outcomes["success"] == outcomes.total() >= MANY_SUCCESSES


def _leaves_message(endpoint: str, likeness: _Likeness, recent: RecentRows | None) -> bool:
    """Say whether messages are recorded from the view: enough of a trace where somebody asks for a link."""
    return likeness.event in (None, "password_reset") and recent is not None and endpoint in recent.message_endpoints


def _remedy(endpoint: str, likeness: _Likeness) -> str:
    if likeness.event is None:
        return "record the message that it sends: connect its library, or logs.sending_email(…)"
    event = "" if likeness.event == "sign_in" else f', event="{likeness.event}"'
    return f'logs.watch_sign_in("{endpoint}"{event}), or logs.record_sign_in(…) in the view'


# -- What the code of a view calls ------------------------------------------------------------------------------------


def _records(app: Flask, endpoint: str, likeness: _Likeness) -> bool:
    wanted = _SIGN_IN_CALLS if likeness.event == "sign_in" else _SIGN_IN_CALLS | _MESSAGE_CALLS
    view = app.view_functions.get(endpoint)
    return view is not None and not wanted.isdisjoint(_names_called(view))


def _names_called(view: Any) -> set[str]:
    """List the names that a view uses, and those that functions of its own module use which it calls."""
    names: set[str] = set()
    for function in _functions_of(view):
        own = _names_in(function.__code__)
        names |= own
        for name in own:
            called = function.__globals__.get(name)
            if inspect.isfunction(called) and called.__module__ == function.__module__:
                names |= _names_in(called.__code__)
        if len(names) > _MOST_NAMES:
            break
    return names


def _functions_of(view: Any) -> list[Any]:
    kind = getattr(view, "view_class", None)
    if kind is not None:
        return [member for member in vars(kind).values() if inspect.isfunction(member)]
    while isinstance(view, functools.partial):
        view = view.func
    try:
        unwrapped: Callable[..., Any] = inspect.unwrap(view)
    except ValueError:
        return []
    return [one for one in (unwrapped, view) if inspect.isfunction(one)]


def _names_in(code: CodeType) -> set[str]:
    names = set(code.co_names) | set(code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names_in(constant)
    return names
