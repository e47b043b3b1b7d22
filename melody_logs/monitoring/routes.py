"""The two addresses for what watches the app, apart from the pages: their guard is a token, not the host's function."""

from __future__ import annotations

import hmac
import json

from flask import Blueprint, Response, current_app, request

from ..health import check_health, describe_health
from ..settings import Settings
from ..state import state_of

BLUEPRINT_NAME = "melody_logs_monitoring"
_MISSING = 'The metrics need prometheus-client: install "melody-logs[prometheus]".\n'


def create_blueprint(settings: Settings) -> Blueprint:
    """Make the blueprint of the probe and the metrics, under ``MELODY_LOGS_ADMIN_PREFIX``."""
    blueprint = Blueprint(BLUEPRINT_NAME, __name__, url_prefix=settings.admin_prefix)
    blueprint.before_request(_guard)
    blueprint.after_request(_protect)
    blueprint.add_url_rule("/health.json", "health", _show_health, methods=["GET"])
    blueprint.add_url_rule("/metrics", "metrics", _show_metrics, methods=["GET"])
    return blueprint


def _guard() -> Response | None:
    """Let in who brings ``MELODY_LOGS_HEALTH_TOKEN``; without one in the settings there is nothing here."""
    token = state_of().settings.health_token
    if token is None:
        return _answer(404, "There is nothing here.\n")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # Compared in any case, and in constant time.
    is_right = hmac.compare_digest(given.strip().encode(), token.encode())
    if is_right and scheme.lower() == "bearer":
        return None
    refusal = _answer(401, "This needs the token of MELODY_LOGS_HEALTH_TOKEN.\n")
    refusal.headers["WWW-Authenticate"] = 'Bearer realm="melody_logs"'
    return refusal


def _show_health() -> Response:
    """Answer 200 if all is well and 503 if a finding is bad; what is wrong in words only if it is asked for."""
    described = describe_health(check_health(state_of()))
    if "verbose" not in request.args:
        # The texts name folders and servers.
        for finding in described["findings"]:
            del finding["text"], finding["remedy"]
    status = 200 if described["well"] else 503
    return _answer(status, json.dumps(described), "application/json")


def _show_metrics() -> Response:
    try:
        from .metrics import write_metrics
    except ModuleNotFoundError:
        return _answer(501, _MISSING)
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    text, content_type = write_metrics(app, request.headers.get("Accept", ""))
    return _answer(200, text, content_type)


def _answer(status: int, text: str | bytes, content_type: str = "text/plain; charset=utf-8") -> Response:
    return Response(text, status, content_type=content_type)


def _protect(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
