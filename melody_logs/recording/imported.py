"""Rows of a Melody Auth database as entries of ours: redacted, cleaned and limited as if they were recorded here."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from ..geolocation.location import Lookup
from ..geolocation.records import read_record
from ..settings import Settings
from ..storage.melody_auth import SourceRow
from ..storage.writer import RowWrite
from ..vocabulary import Kind
from .cleaning import MARKS_LIMIT
from .entries import Entry, build_message, build_sign_in, to_row
from .messages import REDACTION_MARGIN, RESPONSE_LIMIT
from .request_facts import RequestFacts
from .seams import Seams

#: Says in a row's marks where it comes from.
IMPORTED = "entry:imported"
GEO_SOURCE = "Melody Auth"
_NAMESPACE = uuid.UUID("6d656c6f-6479-8c6f-8773-696d706f7274")
_COMPARED_CHARACTERS = 1_024
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
#: Clocks, and time zones, may differ by this.
_TOLERANCE = timedelta(days=1)


def text_limits(settings: Settings) -> dict[str, int]:
    """Say how many characters of a column are needed, so that a secret across a limit is seen whole."""
    body = settings.body_max_kilobytes * 1024
    return {"content": body + REDACTION_MARGIN + 1, "response": RESPONSE_LIMIT + REDACTION_MARGIN + 1}


def name_event(kind: Kind, row: SourceRow) -> str:
    """Make the event id of a source's row from the row alone.

    So the same row has the same id wherever its database was moved, copied or exported to.
    """
    facts = [kind, row.id, row.created_at, *(_head(row.values[name]) for name in sorted(row.values))]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(facts, separators=(",", ":"))))


def build_imported(
    kind: Kind, row: SourceRow, *, zone: tzinfo, now: datetime, settings: Settings, seams: Seams
) -> RowWrite | None:
    """Make what the writer takes of a source's row; it is as old as it was there. None if the host leaves it out.

    The host's ``transform`` and ``exclude`` see the row as if it were recorded. A time that cannot be read, or lies
    before 1970 or in the future, becomes the time of the import, marked ``occurred_at:invalid``.

    :param zone: the time zone of the source's times.
    :param now: the clock of the log database.
    """
    fields = seams.apply_transform(kind, _read_fields(kind, row))
    if seams.excludes(kind, fields):
        return None
    marks = [IMPORTED, *str(fields.pop("marks", None) or "").split()]
    event_id = name_event(kind, row)
    if kind == "sign-in":
        entry = _build_sign_in(fields, row, event_id, marks)
    else:
        entry = build_message(kind, fields, facts=RequestFacts(), settings=settings, event_id=event_id)
        entry.values["content_bytes"] = max(row.values["content_bytes"] or 0, entry.values["content_bytes"])
    created_at = _read_time(row.created_at, zone, now)
    if created_at is None:
        marks.append("occurred_at:invalid")
    entry.values["occurred_at"] = created_at or now
    entry.values["marks"] = " ".join([*marks, entry.values["marks"] or ""]).strip()[:MARKS_LIMIT]
    return to_row(entry)._replace(recorded_at=created_at)


def _read_fields(kind: Kind, row: SourceRow) -> dict[str, Any]:
    """Say what the row says in the keywords of ``record_*``.

    Melody Auth writes a sign-in when it gives out tokens, so each is a success.
    """
    if kind == "sign-in":
        return {"user_id": _read_user_id(row.values["userId"]), "ip": row.values["ip"], "success": True}
    return {name: row.values[name] for name in ("success", "receiver", "response", "content")}


def _build_sign_in(fields: Mapping[str, Any], row: SourceRow, event_id: str, marks: list[str]) -> Entry:
    facts = RequestFacts(ip=fields.get("ip"), header_location=_read_detail(row.values["detail"], marks))
    entry = build_sign_in(fields, facts=facts, key=b"", event_id=event_id)
    # Without a name typed there, only a transform can have given one, and the key of its hash is not at hand.
    entry.values["identity_hash"] = None
    return entry


def _read_user_id(value: Any) -> Any:
    """Give a user id; 0 is what the rows have that are older than the column."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value or None


def _read_detail(text: str | None, marks: list[str]) -> Lookup | None:
    """Read the place that Cloudflare told Melody Auth; None if it names no country."""
    if not text:
        return None
    try:
        detail = json.loads(text)
    except (ValueError, RecursionError):
        detail = None
    if not isinstance(detail, Mapping):
        marks.append("detail:invalid")
        return None
    location = read_record(
        {
            **{name: detail.get(name) for name in ("continent", "region", "city", "timezone", "latitude")},
            "country_code": detail.get("country"),
            "region_code": detail.get("regionCode"),
            "lng": detail.get("longitude"),
        }
    )
    return Lookup("done", location, GEO_SOURCE) if location is not None and location.country else None


def _read_time(text: str | None, zone: tzinfo, now: datetime) -> datetime | None:
    try:
        moment = datetime.fromisoformat((text or "").strip())
        moment = (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if _EARLIEST <= moment <= now + _TOLERANCE else None


def _head(value: Any) -> str | None:
    """Cut a value to what is compared, which must not depend on how much of it was read."""
    return None if value is None else str(value)[:_COMPARED_CHARACTERS]
