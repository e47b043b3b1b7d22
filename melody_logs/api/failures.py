"""What goes wrong becomes a problem document, and only below our own paths: the host's error pages stay as they are."""

from __future__ import annotations

import logging
import uuid
from http import HTTPStatus

from flask import Blueprint, Response, current_app, make_response, request
from flask.globals import request_ctx
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.routing import RequestRedirect

from ..errors import ConfigurationError, StorageUnavailableError
from ..settings import Settings
from .problems import ProblemError
from .routes import OwnRoutes

logger = logging.getLogger("melody_logs")

#: Where an app keeps its :class:`OwnRoutes`.
ROUTES_KEY = "melody_logs_routes"
RETRY_AFTER_SECONDS = 5
#: Headers of an HTTP exception that the answer keeps.
_KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate", "Location")


def install(blueprint: Blueprint) -> None:
    """Answer every error of a blueprint's views with a problem document."""
    blueprint.register_error_handler(ProblemError, lambda error: error.to_response())
    # Flask asks the app's handler of a code before the blueprint's handler of a class: take the codes too.
    for code in default_exceptions:
        blueprint.register_error_handler(code, answer_http_exception)
    # A configuration error here is a key that does not fit what is stored: an operator mends it, not the caller.
    for unreachable in (OperationalError, InterfaceError, TimeoutError, StorageUnavailableError, ConfigurationError):
        blueprint.register_error_handler(unreachable, _answer_unavailable)
    blueprint.register_error_handler(Exception, _answer_unexpected)


class OwnPaths:
    """The paths below which every answer is ours, of an app with *settings*."""

    def __init__(self, settings: Settings) -> None:
        # Below the token prefix the host may have routes, and so error pages, of its own.
        self._prefixes = (f"{settings.api_prefix}/", f"{settings.token_prefix}/token/")

    def __contains__(self, path: str) -> bool:
        """Say whether *path*, or the pattern of a rule, is ours."""
        return f"{path}/".startswith(self._prefixes)


def answer_routing_error(own: OwnPaths) -> Response | None:
    """Answer a 404 or 405 of one of our *own* paths, which belongs to no blueprint.

    A path that a pattern of the host caught, such as ``/<path:path>``, is one of them: a page with status 200 would
    look like an answer to a program.
    """
    if isinstance(request.routing_exception, RequestRedirect):
        return None
    rule = request.url_rule
    if rule is not None and rule.rule in own:
        return None
    routes: OwnRoutes = current_app.extensions[ROUTES_KEY]
    adapter = request_ctx.url_adapter
    if adapter is None or not routes.are_at(adapter):
        return None
    error = routes.find_refusal(request.path, request.method) or request.routing_exception
    return None if error is None else answer_http_exception(error)


def answer_http_exception(error: HTTPException) -> Response:
    """Turn an HTTP exception into a problem document with its own headers."""
    if error.response is not None:
        # Somebody has already written the answer.
        return make_response(error.response)
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    headers = {name: value for name, value in error.get_headers(request.environ) if name in _KEPT_HEADERS}
    return ProblemError(status, _DETAILS.get(status) or f"{error.name}.", headers=headers).to_response()


_DETAILS = {
    404: "There is nothing at this address.",
    405: "This address does not take that method; the header Allow lists those it takes.",
}


def _answer_unavailable(error: Exception) -> Response:
    reason = error.orig if isinstance(error, DBAPIError) else error
    logger.warning("the API could not do its work: %s", reason)
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The logs cannot be reached at the moment; try again later.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    ).to_response()


def _answer_unexpected(error: Exception) -> Response:
    error_id = uuid.uuid4().hex
    logger.error("the API failed with error id %s", error_id, exc_info=error)
    return ProblemError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"Something went wrong here; the log of the application has it under the error id {error_id}.",
        members={"errorId": error_id},
    ).to_response()
