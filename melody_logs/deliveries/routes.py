"""The endpoints: a bounded body, the provider's proof, the spool, and an answer that never is an error of ours."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from ..recording.losses import SparseLog
from ..settings import Settings
from ..state import state_of
from .callback import Callback, CallRefused, Provider
from .intake import keep_reports
from .providers import make_providers

BLUEPRINT_NAME = "melody_logs_deliveries"
#: The largest that a provider sends is a batch of SendGrid's, below 800 kB.
LARGEST_BODY_BYTES = 1024 * 1024
MOST_REPORTS = 10_000


def create_blueprint(settings: Settings) -> Blueprint:
    """Make the blueprint of the endpoints whose keys are set, under ``MELODY_LOGS_DELIVERY_PREFIX``."""
    blueprint = Blueprint(BLUEPRINT_NAME, __name__, url_prefix=settings.delivery_prefix)
    for provider in make_providers(settings):
        view = _make_view(provider, settings)
        blueprint.add_url_rule(f"/{provider.name}", provider.name, view, methods=["POST"])
    return blueprint


def _make_view(provider: Provider, settings: Settings) -> Callable[[], Response]:
    log = SparseLog()

    def receive() -> Response:
        """Answer 200 to what is kept; 403, 400 or 413 to what never will be; 503 to what shall come again."""
        try:
            reports = [report for report in provider.read(_read_callback(settings)) if report is not None]
            if len(reports) > MOST_REPORTS:
                raise CallRefused(413, f"more than {MOST_REPORTS} reports")
            if not keep_reports(state_of().recorder, reports):
                raise CallRefused(503, "the reports cannot be kept at the moment")
        except CallRefused as refusal:
            log.warn(f"a report of {provider.name} is refused with {refusal.status}: {refusal.reason}")
            return _answer(refusal.status, f"{refusal.reason}\n")
        except HTTPException as error:
            return _answer(error.code if error.code and error.code < 500 else 400, f"{error.name}\n")
        except Exception:
            log.warn(f"a report of {provider.name} could not be read; it is asked for again", with_traceback=True)
            return _answer(503, "something went wrong here\n")
        return _answer(200, "")

    return receive


def _read_callback(settings: Settings) -> Callback:
    base = settings.public_url or request.root_url.rstrip("/")
    query = request.query_string.decode("latin-1")
    return Callback(_read_body(), request.headers, f"{base}{request.path}{'?' if query else ''}{query}")


def _read_body() -> bytes:
    too_large = CallRefused(413, f"the body is larger than {LARGEST_BODY_BYTES} bytes")
    if request.content_length is not None:
        if request.content_length > LARGEST_BODY_BYTES:
            raise too_large
        # A hook of the host may have read it already, and as a form it is not kept as it was.
        return request.get_data() or urlencode(list(request.form.items(multi=True))).encode()
    body = request.stream.read(LARGEST_BODY_BYTES + 1)
    if len(body) > LARGEST_BODY_BYTES:
        raise too_large
    return body


def _answer(status: int, text: str) -> Response:
    response = Response(text, status, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if status == 503:
        response.headers["Retry-After"] = "60"
    return response
