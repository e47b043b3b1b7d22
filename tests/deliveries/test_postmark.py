"""Webhooks of Postmark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from melody_logs.storage.delivery_history import read_history
from tests.deliveries.conftest import Host
from tests.deliveries.signing import POSTMARK

AUTH = tuple(POSTMARK.split(":", 1))
MESSAGE = "883953f4-6105-42a2-a16a-77a8eac79483"


def test_delivery_has_the_time_of_the_provider(host: Host) -> None:
    host.send("email", "postmark", MESSAGE)
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    body = {"RecordType": "Delivery", "MessageID": MESSAGE, "DeliveredAt": moment.isoformat(), "Details": "250 OK"}
    assert host.post("postmark", json=body, auth=AUTH).status_code == 200
    (line,) = read_history(host.row().delivery)
    assert (host.row().status, line) == ("delivered", ("delivered", moment, "250 OK"))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"RecordType": "Bounce", "Type": "HardBounce", "Details": "550 no"}, "bounced"),
        ({"RecordType": "Bounce", "Type": "Blocked", "Description": "blocked"}, "bounced"),
        ({"RecordType": "Bounce", "Type": ["HardBounce"]}, "bounced"),
        ({"RecordType": "Bounce", "Type": "SoftBounce", "Details": "452 full"}, "accepted"),
        ({"RecordType": "Bounce", "Type": "AutoResponder"}, "accepted"),
        ({"RecordType": "Bounce", "Type": "SpamComplaint"}, "complained"),
        ({"RecordType": "SpamComplaint", "Type": "SpamComplaint"}, "complained"),
        ({"RecordType": "Open"}, "accepted"),
        ({"RecordType": {"a": 1}}, "accepted"),
        ({}, "accepted"),
    ],
)
def test_words_of_postmark_are_ours(host: Host, body: dict[str, Any], status: str) -> None:
    host.send("email", "postmark", MESSAGE)
    call = body | {"MessageID": MESSAGE, "BouncedAt": "2026-11-24T10:00:00.0000000-05:00"}
    assert host.post("postmark", json=call, auth=AUTH).status_code == 200
    assert host.row().status == status


def test_call_without_the_credentials_is_refused(host: Host) -> None:
    host.send("email", "postmark", MESSAGE)
    body = {"RecordType": "SpamComplaint", "MessageID": MESSAGE}
    calls: list[dict[str, Any]] = [{}, {"auth": ("postmark", "wrong-password")}, {"auth": ("", "")}]
    texts = ("Basic", "Basic !", "Basic cG9zdG1hcms=", f"Bearer {POSTMARK}", "Basic " + "A" * 9999)
    calls += [{"headers": {"Authorization": text}} for text in texts]
    assert [host.post("postmark", json=body, **call).status_code for call in calls] == [403] * len(calls)
    assert host.post("postmark", content=b"[]", auth=AUTH).status_code == 400
    assert host.post("postmark", content=b"{", auth=AUTH).status_code == 400
    assert host.row().version == 1
