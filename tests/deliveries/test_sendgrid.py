"""Events of SendGrid."""

from __future__ import annotations

import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from sendgrid.helpers.eventwebhook import EventWebhook

from melody_logs.state import state_of
from tests.deliveries.conftest import Host
from tests.deliveries.signing import public_key_text, sendgrid_call
from tests.storage.rows import read_all

MESSAGE = "14c5d75ce93"


def event(word: str, **more: Any) -> dict[str, Any]:
    """One event of the message, as SendGrid writes its id."""
    number = f"{MESSAGE}.filter0001.16648.5515E0B88.0"
    return {"event": word, "email": "a@example.org", "timestamp": int(time.time()), "sg_message_id": number} | more


def test_batch_of_events_is_the_life_of_a_message(host: Host) -> None:
    host.send("email", "sendgrid", MESSAGE)
    events = [
        event("processed"),
        event("deferred", response="400 try again later", attempt="5"),
        event("delivered", response="250 OK"),
        event("open"),
        event("spamreport", timestamp=int(time.time()) + 60),
    ]
    call = sendgrid_call(events)
    # What is tested here is signed as SendGrid's own library wants it.
    signature, timestamp = (
        call["headers"][f"X-Twilio-Email-Event-Webhook-{name}"] for name in ("Signature", "Timestamp")
    )
    assert EventWebhook(public_key_text()).verify_signature(call["content"].decode(), signature, timestamp)
    assert host.post("sendgrid", **call).status_code == 200
    assert host.row().status == "complained"
    assert host.history() == [
        ("deferred", "400 try again later"),
        ("accepted", None),
        ("delivered", "250 OK"),
        ("complained", None),
    ]


def test_bounce_and_drop_say_why(host: Host) -> None:
    host.send("email", "sendgrid", MESSAGE)
    assert host.post("sendgrid", **sendgrid_call([event("dropped", reason="Bounced Address")])).status_code == 200
    assert host.row().status == "failed"
    bounce = event("bounce", type="bounce", reason="550 5.1.1 no such user", status="5.1.1")
    assert host.post("sendgrid", **sendgrid_call([bounce])).status_code == 200
    assert (host.row().status, host.history()[-1]) == ("bounced", ("bounced", "bounce: 550 5.1.1 no such user"))


def test_only_the_message_to_the_receiver_is_meant(host: Host) -> None:
    """The messages of one call share their id, which may have dots."""
    shared = "14c5d75ce93.dfd.64b469"
    number = f"{shared}.filter0001.16648.5515E0B88"
    calls = [
        event("bounce", sg_message_id=f"{number}.0", email="Ann@example.org"),
        event("delivered", sg_message_id=f"{number}.1", email="bob@example.org"),
    ]
    given = {"provider": "sendgrid", "status": "sent", "provider_message_id": shared}

    def record(receiver: str) -> None:
        with host.app.app_context():
            host.logs.record_email(receiver=receiver, **given)

    for receiver in ("ann@example.org", "bob@example.org, archive@example.org", "joann@example.org", "unknown"):
        record(receiver)
    assert host.post("sendgrid", **sendgrid_call(calls)).status_code == 200
    rows = read_all(state_of(host.app).database, "email")
    assert [row.status for row in rows] == ["bounced", "delivered", "sent", "bounced"]


def test_report_waits_for_the_message_to_its_receiver(host: Host) -> None:
    given = {"provider": "sendgrid", "status": "sent", "provider_message_id": MESSAGE}
    assert host.post("sendgrid", **sendgrid_call([event("dropped", email="late@example.org")])).status_code == 200
    with host.app.app_context():
        for receiver in ("ann@example.org", "late@example.org"):
            host.logs.record_email(receiver=receiver, **given)
    rows = read_all(state_of(host.app).database, "email")
    assert [(row.receiver, row.status) for row in rows] == [("ann@example.org", "sent"), ("late@example.org", "failed")]


def test_secret_in_the_words_of_a_server_is_not_kept(host: Host) -> None:
    host.send("email", "sendgrid", MESSAGE)
    reason = "554 rejected: https://app.example/reset?token=dGhpc2lzYXNlY3JldHRva2Vu looks like spam"
    assert host.post("sendgrid", **sendgrid_call([event("bounce", reason=reason)])).status_code == 200
    assert "dGhpc2lzYXNlY3JldHRva2Vu" not in host.row().delivery
    assert "looks like spam" in host.row().delivery


def test_full_batch_is_taken_and_more_is_refused(host: Host) -> None:
    host.send("email", "sendgrid", MESSAGE)
    many = [event("deferred", sg_message_id=f"m{number}.x", email="") for number in range(3000)]
    assert host.post("sendgrid", **sendgrid_call([*many, event("delivered")])).status_code == 200
    assert host.row().status == "delivered"
    small = [{"event": "open", "sg_message_id": "m"}] * 10_001
    assert host.post("sendgrid", **sendgrid_call(small)).status_code == 200
    refused = json.dumps([{"event": "bounce", "sg_message_id": MESSAGE}] * 10_001).encode()
    assert host.post("sendgrid", **sendgrid_call(refused)).status_code == 413
    assert host.post("sendgrid", **sendgrid_call(b" " * (1024 * 1024) + b"[]")).status_code == 413
    assert host.row().status == "delivered"


def test_forged_and_swapped_calls_are_refused(host: Host) -> None:
    host.send("email", "sendgrid", MESSAGE)
    right, other = sendgrid_call([event("bounce")]), sendgrid_call([event("delivered"), event("bounce")])
    foreign = sendgrid_call([event("bounce")], key=ec.generate_private_key(ec.SECP256R1()))
    headers = right["headers"]
    calls = [
        {"content": right["content"]},
        foreign,
        {"content": other["content"], "headers": headers},
        {"content": right["content"] + b" ", "headers": headers},
        *({"content": right["content"], "headers": headers | {name: value}} for name, value in _tampered(headers)),
    ]
    assert [host.post("sendgrid", **call).status_code for call in calls] == [403] * len(calls)
    assert host.row().version == 1


def _tampered(headers: dict[str, str]) -> list[tuple[str, str]]:
    names = [name for name in headers if name != "Content-Type"]
    values = ["", "0", "!!", "AAAA", "1" * 5000]
    return [(name, value) for name in names for value in values]


def test_signed_nonsense_is_never_an_error_of_ours(host: Host) -> None:
    host.send("email", "sendgrid", MESSAGE)
    for body in (b"", b"{}", b"null", b"\xff", b"[" * 100_000, b'"text"', b"1" * 5000):
        assert host.post("sendgrid", **sendgrid_call(body)).status_code == 400, body[:20]
    no_ids: list[Any] = [None, [], ".x", "\ud800", "a\0b"]
    nonsense: list[Any] = [
        *(None, 5, "text", [], {}, {"event": []}, {"event": {"a": 1}, "sg_message_id": 5}),
        *(event("bounce", sg_message_id=number) for number in no_ids),
        *(event("nothing"), event("__class__")),
    ]
    assert host.post("sendgrid", **sendgrid_call(nonsense)).status_code == 200
    assert host.row().version == 1
    times: list[Any] = [-1, 1e300, float("nan"), "2026", "yesterday", True, {}, 10**40, "9999-12-31T23:59:59Z"]
    odd = [event("deferred", timestamp=each, response=str(number)) for number, each in enumerate(times)]
    odd.append(event("delivered", response={"a": ["b"]}, reason="x" * 5000 + "\ud800\0"))
    assert host.post("sendgrid", **sendgrid_call(odd)).status_code == 200
    assert host.row().status == "delivered"
    assert len(host.history()) == len(odd)
