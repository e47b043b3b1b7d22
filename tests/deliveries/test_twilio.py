"""Status callbacks of Twilio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.deliveries.conftest import PREFIX, Host
from tests.deliveries.signing import twilio_headers

FIELDS = {"MessageSid": "SM1", "SmsSid": "SM1", "AccountSid": "AC1", "From": "+15005550006", "To": "+1647", "Body": ""}


def call(host: Host, status: str, *, url: str = "", query: str = "", **more: str) -> httpx.Response:
    """Report as Twilio does, which signs the address that it calls."""
    fields = FIELDS | {"MessageStatus": status, "SmsStatus": status} | more
    address = f"{url or host.url}{PREFIX}/twilio{query}"
    return httpx.post(f"{host.url}{PREFIX}/twilio{query}", data=fields, headers=twilio_headers(address, fields))


def test_reports_take_a_text_message_to_its_end(host: Host) -> None:
    host.send("sms", "twilio", "SM1")
    for status, ends in (
        ("queued", "accepted"),
        ("sent", "sent"),
        ("delivered", "delivered"),
        ("sending", "delivered"),
    ):
        answer = call(host, status)
        assert (answer.status_code, answer.text) == (200, "")
        assert host.row("sms").status == ends
    assert [status for status, _ in host.history("sms")] == ["accepted", "sent", "delivered"]


def test_what_was_not_delivered_says_why(host: Host) -> None:
    host.send("sms", "twilio", "SM1")
    assert call(host, "undelivered", ErrorCode="30003", ErrorMessage="Unreachable\0 destination 👻").status_code == 200
    assert host.row("sms").status == "failed"
    assert host.history("sms") == [("failed", "30003: Unreachable\u2400 destination 👻")]


@pytest.mark.parametrize("status", ["received", "", "anything"])
def test_what_is_no_report_of_a_message_is_taken_and_forgotten(host: Host, status: str) -> None:
    host.send("sms", "twilio", "SM1")
    assert call(host, status).status_code == 200
    assert host.row("sms").version == 1


def test_address_may_have_a_query(host: Host) -> None:
    host.send("sms", "twilio", "SM1")
    assert call(host, "sent", query="?flow=%C3%BCber&a=1").status_code == 200
    assert host.row("sms").status == "sent"


@pytest.mark.parametrize("public", ["https://app.example", "https://app.example:443", "https://app.example/shop"])
def test_behind_a_proxy_the_public_address_is_signed(new_host: Callable[..., Host], public: str) -> None:
    host = new_host(MELODY_LOGS_PUBLIC_URL=public)
    host.send("sms", "twilio", "SM1")
    assert call(host, "sent").status_code == 403
    assert call(host, "sent", url=public.removesuffix(":443")).status_code == 200
    assert host.row("sms").status == "sent"


def test_shared_key_signs_with_sha_256(host: Host) -> None:
    host.send("sms", "twilio", "SM1")
    fields = FIELDS | {"MessageStatus": "sent"}
    headers = twilio_headers(f"{host.url}{PREFIX}/twilio", fields, strong=True)
    assert host.post("twilio", data=fields, headers=headers).status_code == 200
    assert host.row("sms").status == "sent"


def test_calls_that_twilio_did_not_make_are_refused(host: Host) -> None:
    host.send("sms", "twilio", "SM1")
    address, fields = f"{host.url}{PREFIX}/twilio", FIELDS | {"MessageStatus": "failed"}
    right = twilio_headers(address, fields)
    calls: dict[str, dict[str, Any]] = {
        "unsigned": {"data": fields},
        "empty": {"data": fields, "headers": {"X-Twilio-Signature": ""}},
        "another account": {"data": fields, "headers": twilio_headers(address, fields, token="another account's")},
        "other address": {"data": fields, "headers": twilio_headers("https://other.example/", fields)},
        "changed": {"data": fields | {"MessageSid": "SM2"}, "headers": right},
        "added": {"data": fields | {"SmsStatus": "x"}, "headers": right},
        "not ASCII": {"data": fields, "headers": {"X-Twilio-Signature": "é".encode()}},
        "nothing": {"headers": right},
        "JSON": {"json": fields, "headers": right},
        "other algorithm": {
            "data": fields, "headers": right | {"X-Twilio-Webhooks-Signature-Settings": "algorithm=HMAC_SHA256"}
        },
    }  # fmt: skip
    assert {name: host.post("twilio", **each).status_code for name, each in calls.items()} == dict.fromkeys(calls, 403)
    for content in (b"MessageSid=%ff%fe", b"\xff\xfe", b"&".join([b"a=1"] * 300)):
        assert host.post("twilio", content=content, headers=right).status_code == 400
    assert host.row("sms").version == 1


def test_id_that_cannot_be_one_changes_nothing(host: Host) -> None:
    host.send("sms", "twilio", "SM1")
    for sid in ("", " ", "<>", "x" * 300, "SM1\0", "SM1\u202e\u2028"):
        assert call(host, "sent", MessageSid=sid, SmsSid=sid).status_code == 200
    assert host.row("sms").version == 1
