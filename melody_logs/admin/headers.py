"""The headers of our own answers: what a page may load, who may frame it, and that nothing keeps it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import g, request
from werkzeug.wrappers import Response

from ..settings import Settings
from ..state import state_of
from .assets import is_current

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-src 'self'; frame-ancestors 'none'"
)
#: A layout or stylesheet of the host's brings its fonts and its web manifest along.
GUEST_SOURCES = (("font-src", ("'self'",)), ("manifest-src", ("'self'",)))
#: A stored message runs nothing, loads nothing and has no origin, opened alone too.
BODY_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
BODY_HEADERS = {
    "Content-Security-Policy": BODY_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
}

#: Flask-Talisman, where a host uses it, writes last; None tells it to leave these two of ours alone.
TALISMAN_VIEW_OPTIONS = {"content_security_policy": None, "frame_options": None}


@functools.lru_cache(maxsize=32)
def page_policy(settings: Settings) -> str:
    """Make the policy of the pages: ours, with what the host's layout and stylesheet need beside it."""
    policy = dict(part.strip().split(" ", 1) for part in PAGE_POLICY.split(";"))
    if settings.base_template or settings.stylesheet:
        _allow(policy, GUEST_SOURCES)
    place = urlsplit(settings.stylesheet or "")
    if place.netloc:
        _allow(policy, (("style-src", (f"{place.scheme}://{place.netloc}",)),))
    _allow(policy, settings.content_security_policy)
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())


def _allow(policy: dict[str, str], added: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    for directive, sources in added:
        present = policy.get(directive, "").split()
        policy[directive] = " ".join([*present, *(source for source in sources if source not in present)])


def protect(response: Response) -> Response:
    """Set the headers of one of our answers; what its view has set stays."""
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint == f"{request.blueprint}.static" and response.status_code < 400:
        headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if is_current(request.view_args, request.args) else "no-cache"
        )
        return response
    headers.setdefault("Content-Security-Policy", page_policy(state_of().settings))
    # Not "no-referrer": with it browsers send "Origin: null" from our own forms, and a host's CSRF check on
    # HTTPS, which asks for a referrer, would refuse them.
    headers.setdefault("Referrer-Policy", "same-origin")
    headers["Cache-Control"] = "no-store"
    response.vary.update(("HX-Request", "Cookie"))
    return _lead_to_sign_in(response)


def _lead_to_sign_in(response: Response) -> Response:
    """Turn a host's redirect to its sign-in page into one of the whole window, where htmx asked for a part."""
    is_ours = g.get("melody_logs_permissions")
    if is_ours or request.headers.get("HX-Request") != "true" or not 300 <= response.status_code < 400:
        return response
    response.headers["HX-Redirect"] = response.headers.pop("Location", "")
    response.status_code = 401
    return response
