"""Reports of providers, cleaned, on their way through the spool to the rows of their messages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ..storage.deliveries import DeliveryReport, bare_id
from ..vocabulary import MESSAGE_KINDS, REPORT_RANK, Kind
from .cleaning import Marks, clean_text
from .redaction import redact_response

DETAIL_LIMIT = 500
_ID_LIMIT = 255
_RECEIVER_LIMIT = 320
_DETAIL_MARGIN = 2_000
#: A report is no older than its provider's patience, and its provider's clock is right.
_OLDEST = timedelta(days=30)
_LATEST = timedelta(hours=1)
_PREFIX = b'{"report":'


def build_report(
    kind: Kind,
    provider: str,
    *,
    provider_message_id: object,
    status: str,
    occurred_at: datetime | None = None,
    detail: object = None,
    receiver: object = None,
) -> DeliveryReport | None:
    """Make a report of what a provider said; None without a usable id of the message.

    :param status: one of those a report may have.
    :param occurred_at: by the provider's clock (aware); a time that cannot be right, or none, becomes now.
    :param detail: the provider's words, which are redacted and cut to 500 characters.
    :param receiver: the one address that the report is about, where the provider gives several messages one id.
    """
    if not isinstance(provider_message_id, str):
        return None
    bare = bare_id(provider_message_id.strip())
    if not bare or len(bare) > _ID_LIMIT or clean_text(bare, limit=_ID_LIMIT, name="id", marks=Marks()) != bare:
        return None
    now = datetime.now(UTC)
    if occurred_at is None or not now - _OLDEST <= occurred_at <= now + _LATEST:
        occurred_at = now
    whom = clean_text(receiver, limit=_RECEIVER_LIMIT, name="receiver", marks=Marks()) or None
    return DeliveryReport(kind, provider, bare, status, occurred_at.astimezone(UTC), _clean_detail(detail), whom)


def write_report(report: DeliveryReport) -> bytes:
    """Write a report as compact JSON in UTF-8, as it lies in the spool."""
    values = report._asdict() | {"occurred_at": report.occurred_at.isoformat()}
    return json.dumps({"report": values}, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def is_report(data: bytes) -> bool:
    """Say whether a spooled entry is a report."""
    return data.startswith(_PREFIX)


def read_report(data: bytes) -> DeliveryReport:
    """Read what :func:`write_report` wrote; values that this version does not know are left out.

    :raise ValueError: if *data* is not a report.
    """
    try:
        values: dict[str, Any] = json.loads(data)["report"]
        known = {name: values[name] for name in DeliveryReport._fields if name in values}
        report = DeliveryReport(**known | {"occurred_at": datetime.fromisoformat(known["occurred_at"])})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a report of melody_logs: {type(error).__name__} at {data[:80]!r}") from error
    if report.kind not in MESSAGE_KINDS or report.status not in REPORT_RANK or report.occurred_at.tzinfo is None:
        raise ValueError(f'not a report of melody_logs: "kind" is {report.kind!r}, "status" {report.status!r}')
    return report


def _clean_detail(detail: object) -> str | None:
    if detail is None or detail == "":
        return None
    text = clean_text(detail, limit=DETAIL_LIMIT + _DETAIL_MARGIN, name="detail", marks=Marks())
    redacted = redact_response(text or "").text.strip()
    return redacted[:DETAIL_LIMIT] or None
