"""The one shape of every error: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Response

NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
MOST_ERRORS = 20
LONGEST_NAME = 64


class ProblemError(Exception):
    """Ends a request with a problem.

    :param detail: what is wrong with this request and what is accepted, in a sentence.
    :param errors: for each bad parameter its name and what is wrong with it.
    :param members: further members of the answer (RFC 9457, section 3.2).
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}
        self.members = members or {}

    def to_response(self) -> Response:
        """Build the answer."""
        document = {
            # The status says what kind of problem it is, the detail the rest (RFC 9457, section 4.2.1).
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "errors": [
                {"parameter": name[:LONGEST_NAME], "detail": detail} for name, detail in self.errors[:MOST_ERRORS]
            ],
            **self.members,
        }
        response = json_response(document, self.status)
        response.mimetype = "application/problem+json"
        response.headers.update(self.headers)
        return response


def bad_parameter(name: str, detail: str, status: int = HTTPStatus.BAD_REQUEST) -> ProblemError:
    """Make the problem of one parameter; *detail* goes on after its name."""
    return ProblemError(status, f'"{name}" {detail}.', errors=[(name, detail)])


def not_found() -> ProblemError:
    """Make the problem of an address that names nothing."""
    return ProblemError(HTTPStatus.NOT_FOUND, "There is nothing at this address.")


def json_response(document: Mapping[str, Any], status: int = HTTPStatus.OK) -> Response:
    """Answer with JSON of our own making: a host may have changed its app's JSON provider."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    body = text.encode("utf-8", "replace")
    return Response(body, status, headers=dict(NO_STORE), mimetype="application/json")
