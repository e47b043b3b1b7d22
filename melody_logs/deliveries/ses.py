"""Notifications and events of Amazon SES, which come through a topic of Amazon SNS.

https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html and
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..recording.reports import build_report
from ..storage.deliveries import DeliveryReport
from .callback import Callback, moment_of, part, text_of
from .sns import TopicGuard

_STATUSES = {
    "Send": "accepted",
    "Delivery": "delivered",
    "DeliveryDelay": "deferred",
    "Bounce": "bounced",
    "Complaint": "complained",
    "Reject": "failed",
    "Rendering Failure": "failed",
}
#: Where the facts of an event lie, if not under its name.
_PLACES = {"DeliveryDelay": "deliveryDelay", "Rendering Failure": "failure"}
_MOST_RECEIVERS = 20


class Ses:
    """Takes what the topics *topic_arns* bring, and confirms their subscriptions."""

    name = "ses"

    def __init__(self, topic_arns: Sequence[str]) -> None:
        self._guard = TopicGuard(topic_arns)

    def read(self, callback: Callback) -> list[DeliveryReport | None]:
        """Check a call and read its event; a subscription is confirmed."""
        message = self._guard.read_message(callback)
        if message is None:
            return []
        try:
            event = json.loads(message)
        except (ValueError, RecursionError):
            # SES begins with a sentence that says that the topic works.
            return []
        word = part(event, "eventType") or part(event, "notificationType")
        status = _STATUSES.get(word) if isinstance(word, str) else None
        if status is None:
            return []
        facts = part(event, _PLACES.get(word, word.lower()))
        if word == "Bounce" and part(facts, "bounceType") != "Permanent":
            # Also an answer that somebody is on holiday.
            status = "deferred"
        return [
            build_report(
                "email",
                self.name,
                provider_message_id=part(event, "mail", "messageId"),
                status=status,
                occurred_at=moment_of(part(facts, "timestamp") or part(event, "mail", "timestamp")),
                detail=_detail_of(facts),
            )
        ]


def _detail_of(facts: Any) -> str | None:
    receivers = part(facts, "bouncedRecipients") or part(facts, "delayedRecipients")
    listed = receivers[:_MOST_RECEIVERS] if isinstance(receivers, list) else []
    codes = [text for text in (text_of(part(each, "diagnosticCode")) for each in listed) if text]
    kind = "/".join(
        text
        for name in ("bounceType", "bounceSubType", "delayType", "complaintFeedbackType")
        if (text := text_of(part(facts, name)))
    )
    answer = part(facts, "smtpResponse") or part(facts, "reason") or part(facts, "errorMessage")
    return text_of(kind, "; ".join(dict.fromkeys(codes)) or answer)
