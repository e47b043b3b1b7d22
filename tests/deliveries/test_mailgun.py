"""Webhooks of Mailgun."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.deliveries.conftest import Host
from tests.deliveries.signing import mailgun_call

MESSAGE = "20261124101010.1.AB@mail.example.org"


def event(word: str, **more: Any) -> dict[str, Any]:
    """One event of the message."""
    named = {"message": {"headers": {"message-id": MESSAGE, "to": "a@example.org"}}}
    return {"event": word, "timestamp": time.time(), "id": "e1"} | named | more


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (event("accepted"), "accepted"),
        (event("delivered"), "delivered"),
        (event("failed", severity="temporary", reason="generic"), "accepted"),
        (event("failed", severity="permanent", reason="bounce"), "bounced"),
        (event("failed", severity="permanent", reason="suppress-bounce"), "failed"),
        (event("rejected"), "failed"),
        (event("complained"), "complained"),
        (event("opened"), "accepted"),
        (event("delivered", message={"headers": []}), "accepted"),
        (event("delivered", message=None), "accepted"),
        (["delivered"], "accepted"),
        (None, "accepted"),
    ],
)
def test_words_of_mailgun_are_ours(host: Host, given: Any, status: str) -> None:
    """Its API gives the id in the angle brackets of the header, its events without."""
    host.send("email", "mailgun", f"<{MESSAGE}>")
    assert host.post("mailgun", **mailgun_call(given)).status_code == 200
    assert host.row().status == status


def test_failure_says_why(host: Host) -> None:
    host.send("email", "mailgun", MESSAGE)
    status = {"code": 550, "message": "5.1.1 no such user", "description": ""}
    given = event("failed", severity="permanent", reason="bounce", **{"delivery-status": status})
    assert host.post("mailgun", **mailgun_call(given, parent=True)).status_code == 200
    assert host.history() == [("bounced", "bounce: 550: 5.1.1 no such user")]


def test_proof_is_good_for_one_event_and_an_hour(host: Host) -> None:
    """Mailgun does not sign the event itself: who saw one call could else make any other of it."""
    host.send("email", "mailgun", MESSAGE)
    seen = mailgun_call(event("delivered"))
    assert host.post("mailgun", **seen).status_code == 200
    assert host.post("mailgun", **seen).status_code == 200
    swapped = {"json": seen["json"] | {"event-data": event("complained")}}
    assert host.post("mailgun", **swapped).status_code == 403
    for age in (7200, -7200):
        assert host.post("mailgun", **mailgun_call(event("complained"), age=age)).status_code == 403
    assert host.row().status == "delivered"


def test_unsigned_and_wrong_calls_are_refused(host: Host) -> None:
    host.send("email", "mailgun", MESSAGE)
    right = mailgun_call(event("complained"))["json"]
    proofs: list[Any] = [
        None, [], "text", {}, right["signature"] | {"signature": ""}, right["signature"] | {"signature": None},
        right["signature"] | {"token": "other"}, right["signature"] | {"timestamp": []},
        right["signature"] | {"timestamp": "9" * 40}, right["signature"] | {"timestamp": "1e9"},
        right["signature"] | {"signature": "é" * 64}, right["signature"] | {"token": "x" * 9999},
    ]  # fmt: skip
    calls = [{"json": right | {"signature": proof}} for proof in proofs]
    calls += [mailgun_call(event("complained"), key="another account's key"), {"json": {"event-data": {}}}]
    assert [host.post("mailgun", **call).status_code for call in calls] == [403] * len(calls)
    for content in (b"", b"[]", b"{", b"event=delivered&signature=x"):
        assert host.post("mailgun", content=content).status_code == 400
    assert host.row().version == 1
