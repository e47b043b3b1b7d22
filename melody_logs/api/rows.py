"""A row as the JSON object of the wire contract: every field always present."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, fields

from ..vocabulary import SUCCESS_STATUSES, Kind


def format_instant(moment: datetime | None) -> str | None:
    """Write an instant as RFC 3339 with microseconds and ``Z``."""
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class Instant(fields.DateTime):
    """An instant as RFC 3339 with microseconds and ``Z``."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **options: Any) -> str | None:
        return format_instant(value)


class PlainTime(fields.String):
    """An instant as ``YYYY-MM-DD HH:MM:SS`` in UTC, as the clients of this contract read it."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **options: Any) -> str | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds")


class Text(fields.String):
    """Text that is empty where there is none."""

    def _serialize(self, value: str | None, attr: str | None, obj: Any, **options: Any) -> str:
        return value or ""


class Success(fields.Boolean):
    """Whether a message's status is one of those that mean success."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **options: Any) -> bool:
        return value in SUCCESS_STATUSES


class UserId(fields.Raw):
    """A user id as the host gave it: a number or text."""

    def _serialize(self, value: str | None, attr: str | None, obj: Any, **options: Any) -> int | str | None:
        return int(value) if value is not None and obj.user_id_is_integer else value


class Detail(fields.String):
    """The location as JSON text, each part a string; None where there is no location."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **options: Any) -> str | None:
        parts = {wire: _part(getattr(obj, column)) for wire, column in _LOCATION.items()}
        return json.dumps(parts, ensure_ascii=False) if any(parts.values()) else None


_LOCATION = {
    "longitude": "longitude",
    "continent": "continent",
    "country": "country",
    "timezone": "timezone",
    "region": "region",
    "regionCode": "region_code",
    "latitude": "latitude",
    "city": "city",
    "asn": "asn",
    "asOrg": "as_org",
}


def _part(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return "" if value is None else str(value)


class RowSchema(Schema):
    """What the three logs share."""

    id = fields.Integer()
    eventId = fields.String(attribute="event_id")
    createdAt = PlainTime(attribute="recorded_at")
    updatedAt = PlainTime(attribute="updated_at")
    deletedAt = fields.Constant(None)
    occurredAt = Instant(attribute="occurred_at")
    userId = UserId(attribute="user_id", allow_none=True)
    requestId = fields.String(attribute="request_id", allow_none=True)
    flowId = fields.String(attribute="flow_id", allow_none=True)


class MessageSchema(RowSchema):
    """An email or a text message."""

    success = Success(attribute="status", dump_only=True)
    receiver = Text()
    response = Text()
    content = Text()
    status = fields.String()
    subject = fields.String(allow_none=True)
    purpose = fields.String(allow_none=True)
    provider = fields.String(allow_none=True)
    providerMessageId = fields.String(attribute="provider_message_id", allow_none=True)


class SignInSchema(RowSchema):
    """A sign-in attempt, or what belongs to one."""

    ip = fields.String(allow_none=True)
    detail = Detail(attribute="country", allow_none=True, dump_only=True)
    event = fields.String()
    identity = fields.String(allow_none=True)
    outcome = fields.String()
    reason = fields.String(allow_none=True)
    method = fields.String(allow_none=True)
    userAgent = fields.String(attribute="user_agent", allow_none=True)
    country = fields.String(allow_none=True)
    city = fields.String(allow_none=True)
    latitude = fields.Float(allow_none=True)
    longitude = fields.Float(allow_none=True)


ROW_SCHEMAS: dict[Kind, RowSchema] = {"email": MessageSchema(), "sms": MessageSchema(), "sign-in": SignInSchema()}


#: Columns of these types hold what JSON writes as it is.
_AS_THEY_ARE = (fields.String, fields.Integer, fields.Float)
_Serialize = Callable[[Any, str, Any], Any]


def _plan(schema: RowSchema) -> list[tuple[str, str | None, _Serialize | None]]:
    """List the fields of a schema: name on the wire, column, and what changes its value.

    The schemas declare the rows for the documentation; their own ``dump`` takes several times as long, which is most of
    what a page costs.
    """
    return [
        (
            name,
            (field.attribute or name) if field._CHECK_ATTRIBUTE else None,
            None if type(field) in _AS_THEY_ARE else field._serialize,
        )
        for name, field in schema.dump_fields.items()
    ]


_PLANS = {kind: _plan(schema) for kind, schema in ROW_SCHEMAS.items()}


def row_to_json(kind: Kind, row: Any) -> dict[str, Any]:
    """Turn a row of *kind* into its JSON object."""
    document = {}
    for name, column, serialize in _PLANS[kind]:
        value = None if column is None else getattr(row, column)
        document[name] = value if serialize is None else serialize(value, name, row)
    return document
