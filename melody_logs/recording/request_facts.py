"""What the current request tells about its sender."""

from __future__ import annotations

import logging
import re
from typing import Any, NamedTuple

from flask import has_request_context, request

from ..geolocation.headers import locate_by_headers
from ..geolocation.location import Lookup
from ..settings import Settings
from .proxy_notes import note_proxies

_logger = logging.getLogger("melody_logs")
#: W3C Trace Context, section 3.2: version, trace id, parent id, flags.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


class RequestFacts(NamedTuple):
    """Facts of one request as they came in: neither cleaned nor cut. All None outside a request."""

    ip: str | None = None
    user_agent: str | None = None
    referrer: str | None = None
    endpoint: str | None = None
    request_id: str | None = None
    header_location: Lookup | None = None
    #: What the request tells about proxies: see :mod:`.proxy_notes`.
    proxy_notes: tuple[str, ...] = ()


_NO_FACTS = RequestFacts()


def read_request_facts(settings: Settings) -> RequestFacts:
    """Read the facts of Flask's current request; empty outside one, and empty with a warning if reading fails.

    The address is ``remote_addr`` alone: which proxies to believe is the host's decision (werkzeug's ``ProxyFix``).
    The request id is ``X-Request-ID``, else the trace id of ``traceparent``.
    """
    if not has_request_context():
        return _NO_FACTS
    try:
        # The request itself: each look through Flask's proxy finds it anew.
        current: Any = request._get_current_object()  # type: ignore[attr-defined]
        environ = current.environ
        return RequestFacts(
            ip=current.remote_addr,
            user_agent=environ.get("HTTP_USER_AGENT"),
            referrer=environ.get("HTTP_REFERER"),
            endpoint=current.endpoint,
            request_id=environ.get("HTTP_X_REQUEST_ID") or _trace_id(environ.get("HTTP_TRACEPARENT")),
            header_location=locate_by_headers(current.headers, settings.location_headers)
            if settings.location_headers
            else None,
            proxy_notes=note_proxies(environ, current.remote_addr),
        )
    except Exception:
        _logger.warning("The facts of a request could not be read; its entry has none.", exc_info=True)
        return _NO_FACTS


def _trace_id(traceparent: str | None) -> str | None:
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return match[1] if match else None
