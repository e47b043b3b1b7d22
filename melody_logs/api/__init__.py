"""The server-to-server API: tokens for programs, and the logs as JSON."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response, request

from ..recording.guard import guarded
from ..settings import Settings
from . import failures, logs, tokens
from .blueprints import GuestApi
from .flows import find_flow as find_flow
from .routes import LAST, LastConverter, OwnRoutes

_BLUEPRINTS = (tokens.blueprint, tokens.key_set_blueprint, logs.blueprint)
for _blueprint in _BLUEPRINTS:
    failures.install(_blueprint)


def register(app: Flask, settings: Settings) -> None:
    """Add the API to *app*: its routes below the two prefixes, the key set, and their own error answers.

    A host that publishes something of its own at the key set's well-known address keeps it; ours is then not published.
    """
    _exempt_from_csrf(app)
    app.before_request(_make_hook(app, settings))
    app.url_map.converters[LAST] = LastConverter
    api = GuestApi(app)
    api.register_blueprint(tokens.blueprint, url_prefix=settings.token_prefix)
    api.register_blueprint(logs.blueprint, url_prefix=settings.api_prefix)
    api.register_blueprint(tokens.key_set_blueprint)
    app.extensions[failures.ROUTES_KEY] = OwnRoutes(app, (tokens.blueprint.name, logs.blueprint.name))


def _make_hook(app: Flask, settings: Settings) -> Callable[[], Response | None]:
    """Make what runs before every request of the host: it must cost next to nothing."""
    own = failures.OwnPaths(settings)

    @guarded
    def before_any_request() -> Response | None:
        _exempt_from_csrf(app)
        return failures.answer_routing_error(own) if request.path in own else None

    return before_any_request


def _exempt_from_csrf(app: Flask) -> None:
    """Tell a host's CSRFProtect that our callers bring a token, not a cookie; asked again until there is one."""
    protection = app.extensions.get("csrf")
    if protection is None or app.extensions.get("melody_logs_csrf") is protection:
        return
    for blueprint in _BLUEPRINTS:
        protection.exempt(blueprint)
    app.extensions["melody_logs_csrf"] = protection
