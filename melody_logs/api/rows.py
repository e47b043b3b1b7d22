"""A row as the JSON object of the wire contract: every field always present."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, ClassVar

from marshmallow import Schema, fields

from ..storage.delivery_history import read_history
from ..vocabulary import SUCCESS_STATUSES, Kind


def format_instant(moment: datetime | None) -> str | None:
    """Write an instant as RFC 3339 with microseconds and ``Z``."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


class Written(fields.Field):  # type: ignore[type-arg]
    """A field whose value on the wire is made from a column, or from it and those *beside* it."""

    beside: ClassVar[tuple[str, ...]] = ()

    def write(self, value: Any, *beside: Any) -> Any:
        """Make the value on the wire."""
        raise NotImplementedError

    def _serialize(self, value: Any, attr: str | None, obj: Any, **options: Any) -> Any:
        return self.write(value, *[getattr(obj, name) for name in self.beside])


class Instant(Written, fields.DateTime):
    """An instant as RFC 3339 with microseconds and ``Z``."""

    def write(self, value: datetime | None, *beside: Any) -> str | None:
        """Write an instant; None where there is none."""
        return format_instant(value)


class PlainTime(Written, fields.String):
    """An instant as ``YYYY-MM-DD HH:MM:SS`` in UTC, as the clients of this contract read it."""

    def write(self, value: datetime | None, *beside: Any) -> str | None:
        """Write an instant; None where there is none."""
        return None if value is None else value.astimezone(UTC).isoformat(" ", "seconds")[:19]


class Text(Written, fields.String):
    """Text that is empty where there is none."""

    def write(self, value: str | None, *beside: Any) -> str:
        """Write a text."""
        return value or ""


class Success(Written, fields.Boolean):
    """Whether a message's status is one of those that mean success."""

    def write(self, value: Any, *beside: Any) -> bool:
        """Judge a status."""
        return value in SUCCESS_STATUSES


class UserId(Written, fields.Raw):
    """A user id as the host gave it: a number or text."""

    beside = ("user_id_is_integer",)

    def write(self, value: str | None, *beside: Any) -> int | str | None:
        """Write a user id; *beside* says whether it is a number."""
        return int(value) if value is not None and beside[0] else value


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
_write_location = json.JSONEncoder(ensure_ascii=False).encode


class Detail(Written, fields.String):
    """The location as JSON text, each part a string; None where there is no location."""

    beside = tuple(_LOCATION.values())

    def write(self, value: Any, *beside: Any) -> str | None:
        """Write the parts of a location."""
        parts = dict(zip(_LOCATION, map(_part, beside), strict=True))
        return _write_location(parts) if any(parts.values()) else None


class SampleSchema(Schema):
    """One of the attempts that a counted sign-in stands for."""

    occurredAt = fields.DateTime()
    ip = fields.String(allow_none=True)
    identity = fields.String(allow_none=True)
    userAgent = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)
    method = fields.String(allow_none=True)


class Samples(Written, fields.List):  # type: ignore[type-arg]
    """Some of the attempts that a counted sign-in stands for; None for a row that is one attempt."""

    def write(self, value: str | None, *beside: Any) -> list[dict[str, Any]] | None:
        """Read the JSON text of the samples; a counted row may wait for its first one."""
        return None if value is None else [_sample(sample) for sample in json.loads(value)]


class DeliverySchema(Schema):
    """One report of a message's provider."""

    status = fields.String()
    occurredAt = fields.DateTime()
    detail = fields.String(allow_none=True)


class Delivery(Written, fields.List):  # type: ignore[type-arg]
    """What the provider of a message reported later, oldest first."""

    def write(self, value: str | None, *beside: Any) -> list[dict[str, Any]]:
        """Read the history of a row; it is empty where nothing was reported."""
        return [
            {"status": report.status, "occurredAt": format_instant(report.occurred_at), "detail": report.detail}
            for report in read_history(value)
        ]


def _sample(stored: dict[str, Any]) -> dict[str, Any]:
    moment = format_instant(datetime.fromisoformat(stored["occurred_at"]))
    texts = {name: stored.get(name) for name in ("ip", "identity", "reason", "method")}
    return {"occurredAt": moment, "userAgent": stored.get("user_agent"), **texts}


def _part(value: float | str | None) -> str:
    if value is None:
        return ""
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


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
    delivery = Delivery(fields.Nested(DeliverySchema), dump_only=True)


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
    foldedCount = fields.Integer(attribute="folded_count", allow_none=True)
    lastAt = Instant(attribute="last_at", allow_none=True)
    samples = Samples(fields.Nested(SampleSchema), allow_none=True, dump_only=True)


ROW_SCHEMAS: dict[Kind, RowSchema] = {"email": MessageSchema(), "sms": MessageSchema(), "sign-in": SignInSchema()}


@dataclass(frozen=True, slots=True)
class _Plan:
    """How rows of a log are written: their *columns* in order, the *names* on the wire and where each reads.

    The schemas declare the rows for the documentation; their own ``dump`` takes several times as long, which is most of
    what a page costs, and so does reading a row's columns by name.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]
    read: Callable[[Any], tuple[Any, ...]]
    #: Name on the wire, and what makes its value from its column alone, or from the columns that the third reads.
    changes: tuple[tuple[str, Callable[..., Any], Callable[[Any], tuple[Any, ...]] | None], ...]
    constants: dict[str, Any]

    @classmethod
    def make(cls, schema: RowSchema) -> _Plan:
        """Read the plan from a schema."""
        constants = {name: field.constant for name, field in schema.fields.items() if type(field) is fields.Constant}
        stored = {name: field for name, field in schema.fields.items() if name not in constants}
        made = {name: field for name, field in stored.items() if isinstance(field, Written)}
        sources = [field.attribute or name for name, field in stored.items()]
        columns = tuple(dict.fromkeys([*sources, *(column for field in made.values() for column in field.beside)]))

        def reader(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
            return itemgetter(*map(columns.index, names))

        changes = [
            (name, field.write, reader([field.attribute or name, *field.beside]) if field.beside else None)
            for name, field in made.items()
        ]
        return cls(columns, tuple(stored), reader(sources), tuple(changes), constants)


_PLANS: dict[Kind, _Plan] = {kind: _Plan.make(schema) for kind, schema in ROW_SCHEMAS.items()}
#: What :func:`row_to_json` wants of a row: these columns first, in this order.
ROW_COLUMNS: dict[Kind, tuple[str, ...]] = {kind: plan.columns for kind, plan in _PLANS.items()}

_STORY_PLANS: dict[Kind, _Plan] = {
    kind: _Plan.make(type(schema)(exclude={"content"} & schema.fields.keys())) for kind, schema in ROW_SCHEMAS.items()
}
#: What :func:`story_row_to_json` wants of a row, likewise.
STORY_COLUMNS: dict[Kind, tuple[str, ...]] = {kind: plan.columns for kind, plan in _STORY_PLANS.items()}


def row_to_json(kind: Kind, row: Any) -> dict[str, Any]:
    """Turn a row of *kind* into its JSON object.

    :param row: the columns :data:`ROW_COLUMNS`, in that order, and perhaps more after them.
    """
    return _write(_PLANS[kind], row)


def story_row_to_json(kind: Kind, row: Any) -> dict[str, Any]:
    """Turn a row of *kind* into its JSON object without the body, of which a story could have a hundred."""
    return _write(_STORY_PLANS[kind], row)


def _write(plan: _Plan, row: Any) -> dict[str, Any]:
    document = dict(zip(plan.names, plan.read(row), strict=True))
    for name, write, read in plan.changes:
        document[name] = write(document[name]) if read is None else write(*read(row))
    document.update(plan.constants)
    return document
