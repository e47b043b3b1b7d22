"""Entries: what was recorded, cleaned, limited and redacted, on its way through the spool into a row."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import uuid_utils

from ..settings import Settings
from ..storage.models import MODELS
from ..storage.writer import RowWrite
from ..vocabulary import EVENTS, KINDS, OUTCOMES, STATUS_RANK, Kind
from .addresses import canonical_address, is_public_address
from .cleaning import Marks, clean_text, clean_user_id, join_values
from .identities import protect_identity
from .messages import protect_texts
from .redaction import redact_links
from .request_facts import RequestFacts

_COLUMNS = {kind: frozenset(model.__table__.columns.keys()) for kind, model in MODELS.items()}
# Made once: ``json.dumps`` would make one for each entry.
_write_json = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
_CANONICAL_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_REFERRER_LIMIT = 1024
_MOST_RECEIVERS = 320
_LOCATION_TEXTS = {
    "country": 2, "continent": 2, "region": 128, "region_code": 16, "city": 128, "timezone": 64, "as_org": 255,
}  # fmt: skip


class Entry(NamedTuple):
    """One recorded event.

    ``values`` are column values of the kind's table, ``occurred_at`` (aware) among them; ``amends`` says that a row
    with this event id may be there already.
    """

    kind: Kind
    event_id: str
    values: dict[str, Any]
    amends: bool = False

    @property
    def is_folded(self) -> bool:
        """Say whether it only adds to a row that counts many."""
        return "folded_count" in self.values


def build_sign_in(
    fields: Mapping[str, Any], *, facts: RequestFacts, key: bytes, event_id: str | None = None, amends: bool = False
) -> Entry:
    """Make the entry of a sign-in from the keywords of ``record_sign_in`` and the request's facts; never raises.

    Without an ``outcome``, ``success`` decides. A word that is no outcome becomes ``failure``, marked
    ``outcome:invalid``; one that is no event ``sign_in``, marked ``event:invalid``. A success has no ``reason``.

    :param key: the key of the identity's hash.
    """
    marks = Marks()
    outcome = _read_outcome(fields, marks)
    user_id, is_integer = clean_user_id(fields.get("user_id"), marks)
    known = fields.get("account_known") is True
    identity, identity_hash = protect_identity(fields.get("identity"), known=known, key=key, marks=marks)
    values: dict[str, Any] = {
        "occurred_at": datetime.now(UTC),
        "event": _read_word(fields.get("event"), EVENTS, "sign_in", "event", marks),
        "outcome": outcome,
        "reason": None if outcome == "success" else _line(fields, "reason", 64, marks),
        "method": _line(fields, "method", 64, marks),
        "identity": identity,
        "identity_hash": identity_hash,
        "user_id": user_id,
        "user_id_is_integer": is_integer,
        "user_agent": _line(fields, "user_agent", 512, marks, facts.user_agent),
        "referrer": _read_referrer(_first(fields.get("referrer"), facts.referrer), marks),
        "endpoint": _line(fields, "endpoint", 255, marks, facts.endpoint),
        "request_id": _line(fields, "request_id", 128, marks, facts.request_id),
        "flow_id": _line(fields, "flow_id", 128, marks),
    }
    values |= _read_place(fields, facts, marks)
    values["marks"] = marks.text()
    return Entry("sign-in", _read_event_id(event_id), values, amends)


def build_message(
    kind: Kind,
    fields: Mapping[str, Any],
    *,
    facts: RequestFacts,
    settings: Settings,
    event_id: str | None = None,
    amends: bool = False,
    without_body: bool = False,
) -> Entry:
    """Make the entry of an email or SMS from the keywords of ``record_email`` and ``record_sms``; never raises.

    Without a ``status``, ``success`` decides. Content, subject and answer are redacted; if that fails they are withheld
    (None, mark ``content:withheld``) and the rest is kept. What amends a known event has no facts of its request.

    :param without_body: leave the body out for want of room (mark ``spool:nearly_full``).
    """
    marks = Marks()
    if amends and event_id is not None:
        facts = RequestFacts()
    user_id, is_integer = clean_user_id(fields.get("user_id"), marks)
    receivers = join_values(fields.get("receiver"), most=_MOST_RECEIVERS)
    values: dict[str, Any] = {
        "occurred_at": datetime.now(UTC),
        "status": _read_status(fields, amends and event_id is not None, marks),
        "receiver": clean_text(receivers, limit=320, name="receiver", marks=marks),
        "purpose": _line(fields, "purpose", 64, marks),
        "template": _line(fields, "template", 255, marks),
        "provider": _line(fields, "provider", 64, marks),
        "provider_message_id": _line(fields, "provider_message_id", 255, marks),
        "user_id": user_id,
        "user_id_is_integer": is_integer,
        "endpoint": _line(fields, "endpoint", 255, marks, facts.endpoint),
        "request_id": _line(fields, "request_id", 128, marks, facts.request_id),
        "flow_id": _line(fields, "flow_id", 128, marks),
    }
    limit_bytes = settings.body_max_kilobytes * 1024
    values |= protect_texts(fields, limit_bytes=limit_bytes, marks=marks, without_body=without_body)
    values["marks"] = marks.text()
    return Entry(kind, _read_event_id(event_id), values, amends)


def to_json(entry: Entry) -> bytes:
    """Write an entry as compact JSON in UTF-8, as it lies in the spool."""
    values = entry.values | {"occurred_at": entry.values["occurred_at"].isoformat()}
    body = {"kind": entry.kind, "event_id": entry.event_id, "amends": entry.amends, "values": values}
    return _write_json(body).encode("utf-8", "replace")


def from_json(data: bytes) -> Entry:
    """Read what :func:`to_json` wrote; values that this version does not know are kept.

    :raise ValueError: if *data* is not an entry.
    """
    try:
        body = json.loads(data)
        kind, values, event_id = body["kind"], body["values"], body["event_id"]
        moment = datetime.fromisoformat(values["occurred_at"])
        values["occurred_at"] = moment
        if not _CANONICAL_UUID(event_id):
            event_id = str(uuid.UUID(event_id))
        entry = Entry(kind, event_id, values, bool(body["amends"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an entry of melody_logs: {type(error).__name__} at {data[:80]!r}") from error
    if kind not in KINDS or moment.tzinfo is None:
        raise ValueError(f'not an entry of melody_logs: "kind" is {kind!r}, "occurred_at" {values["occurred_at"]}')
    return entry


def to_row(entry: Entry) -> RowWrite:
    """Turn an entry into what the writer takes; values that the table has no column for are dropped."""
    columns, values = _COLUMNS[entry.kind], entry.values
    if not values.keys() <= columns:
        values = {name: value for name, value in values.items() if name in columns}
    if entry.is_folded:
        # It says little in the spool: one without an address has no location to wait for.
        values = {"geo_state": "not_applicable", "last_at": values["occurred_at"], **values}
    return RowWrite(entry.kind, {**values, "event_id": entry.event_id}, entry.amends)


def _line(fields: Mapping[str, Any], name: str, limit: int, marks: Marks, otherwise: str | None = None) -> str | None:
    return clean_text(_first(fields.get(name), otherwise), limit=limit, name=name, marks=marks)


def _first(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _read_event_id(given: object) -> str:
    if given is None:
        return str(uuid_utils.uuid7())
    try:
        return str(uuid.UUID(str(given)))
    except Exception:  # whatever it is, an entry gets an id
        return str(uuid_utils.uuid7())


def _read_word(value: object, accepted: tuple[str, ...], otherwise: str, name: str, marks: Marks) -> str:
    if value is None:
        return otherwise
    word = str.__str__(value) if issubclass(type(value), str) else ""
    if word in accepted:
        return word
    marks.add(f"{name}:invalid")
    return otherwise


def _read_outcome(fields: Mapping[str, Any], marks: Marks) -> str:
    by_success = "success" if _read_success(fields, marks) else "failure"
    if fields.get("outcome") is None:
        return by_success
    return _read_word(fields["outcome"], OUTCOMES, "failure", "outcome", marks)


def _read_status(fields: Mapping[str, Any], amends_known: bool, marks: Marks) -> str:
    success = _read_success(fields, marks)
    # An amendment without a word about the phase must not take the row to another one.
    unsaid = "pending" if amends_known else "unknown"
    by_success = unsaid if success is None else ("sent" if success else "failed")
    return _read_word(fields.get("status"), tuple(STATUS_RANK), by_success, "status", marks)


def _read_success(fields: Mapping[str, Any], marks: Marks) -> bool | None:
    success = fields.get("success")
    if success is None or type(success) is bool:
        return success
    if type(success) is int and success in (0, 1):
        return bool(success)
    marks.add("success:invalid")
    return None


def _read_referrer(value: object, marks: Marks) -> str | None:
    """Clean the address of the page before, without the secrets that a reset link would leave there."""
    referrer = clean_text(value, limit=_REFERRER_LIMIT, name="referrer", marks=marks)
    return redact_links(referrer)[:_REFERRER_LIMIT] if referrer else referrer


def _read_place(fields: Mapping[str, Any], facts: RequestFacts, marks: Marks) -> dict[str, Any]:
    given = fields.get("ip")
    address = canonical_address(_first(given, facts.ip))
    if given is None:
        for note in facts.proxy_notes:
            marks.add(f"ip:{note}")
    if address is None and given is not None and clean_text(given, limit=64, name="ip", marks=Marks()):
        marks.add("ip:invalid")
    lookup = facts.header_location
    # The header speaks of this request's sender, not of an address that the host hands over for somebody else.
    if lookup is not None and lookup.location is not None and (given is None or address == canonical_address(facts.ip)):
        return {"ip": address, "geo_state": "done"} | _read_location(lookup, marks)
    locatable = address is not None and is_public_address(address)
    return {"ip": address, "geo_state": "pending" if locatable else "not_applicable"}


def _read_location(lookup: Any, marks: Marks) -> dict[str, Any]:
    location = lookup.location
    values: dict[str, Any] = {
        name: clean_text(getattr(location, name, None), limit=limit, name=name, marks=marks)
        for name, limit in _LOCATION_TEXTS.items()
    }
    for name, bound in (("latitude", 90), ("longitude", 180), ("asn", 2**32)):
        number = getattr(location, name, None)
        values[name] = number if type(number) in (int, float) and -bound <= number <= bound else None  # type: ignore[operator]
    values["geo_source"] = clean_text(lookup.source, limit=64, name="geo_source", marks=marks)
    return values
