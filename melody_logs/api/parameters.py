"""Query parameters: strict, each at most once, none unknown; every bad one is named at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any, NoReturn

from flask import Request
from marshmallow import RAISE, Schema, ValidationError, fields, validate
from webargs.flaskparser import FlaskParser

from ..storage.queries import LARGEST_ID
from .problems import ProblemError

LARGEST_PAGE = 500
DEFAULT_PAGE_SIZE = 10
LONGEST_CURSOR = 128

_WHOLE_NUMBER = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
#: RFC 3339, section 5.6: ``date-time``. A leap second (60) is no instant that a database can compare.
_DATE_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.(?P<fraction>[0-9]{1,30}))?"
    r"(?:Z|(?P<sign>[+-])(?P<hours>[0-9]{2}):(?P<minutes>[0-9]{2}))",
    re.ASCII | re.IGNORECASE,
)


class StrictParser(FlaskParser):
    """Reads the query; what is wrong with it ends the request with 400 and every bad parameter named."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012 - declared so by the library
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": RAISE,
    }

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """Refuse doubled parameters, which the schema could not see."""
        doubled = {name: ["is given more than once"] for name, values in req.args.lists() if len(values) > 1}
        if doubled:
            raise ValidationError(doubled)
        return req.args.to_dict()

    def handle_error(
        self,
        error: ValidationError,
        req: Request,
        schema: Schema,
        *,
        error_status_code: int | None,
        error_headers: Mapping[str, str] | None,
    ) -> NoReturn:
        """Turn what the schema says into a problem.

        :raise ProblemError: 400, always.
        """
        messages: Any = error.messages
        named = messages.get("query", messages)
        found = [(str(name), " and ".join(map(str, texts))) for name, texts in named.items()]
        names = ", ".join(f'"{name[:64]}"' for name, _ in found[:5])
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, f"The query has parameters that are not accepted: {names}.", errors=found
        )


class WholeNumber(fields.Integer):
    """A whole number from 1 to 2⁶³-1 in plain decimal digits: no sign, no zeros before it, nothing else."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        if not _WHOLE_NUMBER.fullmatch(str(value)) or int(value) > LARGEST_ID:
            raise ValidationError("must be a whole number from 1, in decimal digits")
        return int(value)


class Instant(fields.DateTime):
    """An RFC 3339 date-time with a zone, as an aware UTC datetime; what is finer than a microsecond is cut off."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> datetime:
        try:
            return parse_instant(str(value))
        except ValueError as error:
            raise ValidationError(str(error)) from None


class StrictSchema(Schema):
    """A query that knows all its parameters."""

    error_messages: dict[str, str] = {  # noqa: RUF012 - declared so by the library
        "unknown": "is not a parameter of this call",
    }

    class Meta:
        unknown = RAISE


class NoQuery(StrictSchema):
    """A call without parameters."""


class ListQuery(StrictSchema):
    """A list: a numbered page, or the rows from a cursor on; ``page_size`` alone asks for page 1."""

    page_size = WholeNumber(validate=validate.Range(1, LARGEST_PAGE, error=f"must be from 1 to {LARGEST_PAGE}"))
    page_number = WholeNumber()
    cursor = fields.String(validate=validate.Length(1, LONGEST_CURSOR, error="is not a cursor of this list"))


class DeleteQuery(StrictSchema):
    """A delete: rows recorded before an instant; ``allow_recent`` permits one that is not a day old."""

    before = Instant(required=True, error_messages={"required": "is required: an RFC 3339 date-time with a zone"})
    allow_recent = fields.String(
        load_default="false", validate=validate.OneOf(["true", "false"], error="must be true or false")
    )


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 date-time with a zone as an aware UTC datetime.

    :raise ValueError: saying what is accepted, in words that follow the parameter's name.
    """
    accepted = "must be an RFC 3339 date-time with a zone, such as 2025-01-03T01:02:03Z"
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        if _DATE_TIME.fullmatch(text.replace(" ", "+")):
            accepted += '; in a query, "+" is written %2B'
        raise ValueError(accepted)
    offset = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    if int(match["minutes"] or 0) > 59:
        raise ValueError(accepted)
    fraction = (match["fraction"] or "")[:6].ljust(6, "0")
    try:
        local = datetime.strptime(f"{match['date']} {match['time']}.{fraction}", "%Y-%m-%d %H:%M:%S.%f")
        return local.replace(tzinfo=timezone(-offset if match["sign"] == "-" else offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(accepted) from None
