"""flask-smorest as a guest: it documents our views and reads their queries, and leaves the rest of the app alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar, cast

import flask_smorest
from flask import Flask
from marshmallow import Schema

from .parameters import StrictParser

OPENAPI_VERSION = "3.1.0"


View = TypeVar("View", bound=Callable[..., Any])


class ApiBlueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A blueprint whose queries are strict; its decorators keep the types that flask-smorest's lose."""

    ARGUMENTS_PARSER = StrictParser()

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register a view and what is known of it for the documentation."""
        return cast("Callable[[View], View]", super().route(rule, **options))

    def query(self, schema: type[Schema]) -> Callable[[View], View]:
        """Read the query by a schema and hand it to the view as a dict; a bad one is answered with 400."""
        return cast("Callable[[View], View]", self.arguments(schema(), location="query", error_status_code=400))

    def answers(self, status: int, schema: type[Schema] | None = None) -> Callable[[View], View]:
        """Say what the view answers, for the documentation."""
        return cast("Callable[[View], View]", self.response(status, schema))


class GuestApi(flask_smorest.Api):  # type: ignore[misc]
    """An ``Api`` without the app-wide error handler, the commands and the pages that flask-smorest would add."""

    def __init__(self, app: Flask) -> None:
        options = {"title": "melody_logs", "version": version("melody-logs"), "openapi_version": OPENAPI_VERSION}
        super().__init__(app, spec_kwargs=options, config_prefix="MELODY_LOGS")

    def _init_spec(self, **options: Any) -> None:
        commands = self._app.cli.commands
        theirs = commands.get("openapi")
        super()._init_spec(**options)
        if theirs is None:
            commands.pop("openapi", None)

    def _register_error_handlers(self) -> None:
        """Register none: the blueprints answer their own errors."""

    def _register_doc_blueprint(self) -> None:
        """Serve no documents."""
