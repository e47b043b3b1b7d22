"""The server-to-server API: tokens for programs, and the logs as JSON."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response, request

from ..integrations.host_csrf import make_exemption
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
    exempt_from_csrf = make_exemption(app, _BLUEPRINTS)

    @guarded
    def before_any_request() -> Response | None:
        exempt_from_csrf()
        return failures.answer_routing_error(own) if request.path in own else None

    return before_any_request
