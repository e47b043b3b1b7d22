"""What became of messages: the endpoints that providers call, each with the proof that its provider gives."""

from __future__ import annotations

from flask import Flask

from ..integrations.host_csrf import make_exemption
from ..settings import Settings
from .routes import create_blueprint


def register(app: Flask, settings: Settings) -> None:
    """Add an endpoint for each provider whose key is set; without any, nothing."""
    if not settings.takes_reports:
        return
    blueprint = create_blueprint(settings)
    app.register_blueprint(blueprint)
    app.before_request(make_exemption(app, [blueprint]))
