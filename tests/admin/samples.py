"""Rows as a real app would have them, and the hostile ones that an attacker would like it to have."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from melody_logs.storage.database import Database
from melody_logs.storage.writer import RowWrite
from tests.storage.rows import NOW, message, sign_in, write

HTML_BODY = """<html><body style="font-family: sans-serif; color: #222">
<h2>Reset your password</h2><p>Hello Ann,</p>
<p>somebody asked for a new password for your account. <a href="https://example.org/reset/[redacted]">Choose one</a>
within an hour, or do nothing.</p><p style="color: #777">Example Ltd, 1 Example Street</p></body></html>"""

PLACES: tuple[dict[str, Any], ...] = (
    {"ip": "203.0.113.77", "country": "US", "city": "Boston", "region": "Massachusetts", "asn": 64500, "as_org": "Net"},
    {"ip": "2001:db8:85a3:8d3:1319:8a2e:370:7348", "country": "DE", "city": "Freiburg im Breisgau"},
    {"ip": "198.51.100.4", "country": "JP"},
    {"ip": "10.0.0.7", "geo_state": "not_applicable"},
    {"ip": "192.0.2.200", "geo_state": "pending"},
)
ATTEMPTS: tuple[dict[str, Any], ...] = (
    {"outcome": "success", "identity": "ann@example.org", "user_id": "42", "user_id_is_integer": True},
    {"outcome": "failure", "identity": "ann@example.org", "reason": "wrong_password", "method": "password"},
    {"outcome": "challenge", "identity": "bo.lindqvist@example.org", "reason": "missing_code", "method": "sms_code"},
    {"outcome": "success", "identity": "+16471231111", "user_id": "77", "method": "oauth:github"},
    {"outcome": "blocked", "identity": "m***", "reason": "rate_limited", "marks": "identity:masked identity:hashed"},
    {"outcome": "failure", "reason": "unknown_account", "method": "passkey"},
)
HOSTILE = "<script>alert(1)</script>\"'{{7*7}}\u202egnp.exe\u200b"
HOSTILE_BODY = """<html><head><meta http-equiv="refresh" content="0;url={trap}/refresh"><base href="{trap}/">
<link rel="stylesheet" href="{trap}/style.css"><link rel="preload" as="image" href="{trap}/preload.png">
<link rel="prefetch" href="{trap}/prefetch"><link rel="dns-prefetch" href="{trap}"><link rel="preconnect" href="{trap}">
<style>@import url({trap}/import.css); body {{ background: url({trap}/background.png) }}</style></head>
<body onload="document.title='ran'"><script>parent.document.title = 'ran'; fetch('{trap}/fetch')</script>
<img src="{trap}/pixel.png" onerror="fetch('{trap}/onerror')">
<svg onload="fetch('{trap}/svg')"><image href="{trap}/i.png"/></svg>
<iframe src="{trap}/frame"></iframe><IFRAME/src="{trap}/frame2"></IFRAME>
<embed src="{trap}/embed"><object data="{trap}/object"></object>
<video src="{trap}/v.mp4" poster="{trap}/p.png"></video>
<form action="{trap}/form" method="post"><button id="send">Send</button></form>
<div hx-get="{trap}/htmx" hx-trigger="load"></div><a id="link" href="{trap}/link" target="_top">Click</a>
<p id="seen">Hello from the body</p></body></html>"""


def fill(database: Database, *, sign_ins: int = 37) -> None:
    """Write a small life of an app: sign-ins, emails, text messages, some of them old."""
    old = [sign_in(**ATTEMPTS[number % 6], **PLACES[number % 5]) for number in range(12)]
    write(database, *old, age=timedelta(days=45))
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
    located = {
        "geo_state": "done",
        "geo_source": "GeoLite2-City 2026-09-01",
        "latitude": 42.3601,
        "longitude": -71.0589,
    }
    now = _now(database)
    new = []
    for number in range(sign_ins):
        place = PLACES[number % 5]
        extra = located | {"timezone": "America/New_York", "continent": "NA"} if "city" in place else {}
        new.append(
            sign_in(
                **{"occurred_at": now - timedelta(minutes=3 * (sign_ins - number) ** 2)}
                | {"user_agent": agent, "endpoint": "auth.login", "request_id": f"req-{number:06}"}
                | extra
                | ATTEMPTS[number % 6]
                | place
            )
        )
    write(database, *new)
    write(database, sign_in(event="sign_out", identity="ann@example.org", user_id="42"))
    _fill_messages(database)


def counted_sign_in() -> RowWrite:
    """Make a row that stands for seven failures in forty seconds, with two samples."""
    samples = [
        {"occurred_at": NOW.isoformat(), "ip": f"203.0.113.{number}", "user_agent": "<b>Tool</b>\u202e " + "long" * 50}
        | dict.fromkeys(("identity", "method"))
        | {"reason": "wrong_password"}
        for number in range(2)
    ]
    values = {"folded_count": 7, "last_at": NOW + timedelta(seconds=40), "samples": json.dumps(samples)}
    return sign_in(outcome="failure", identity="ann@example.org", **values)


def _fill_messages(database: Database) -> None:
    now = _now(database)
    email: dict[str, Any] = {"occurred_at": now - timedelta(minutes=7), "provider": "smtp", "purpose": "password_reset"}
    kept: dict[str, Any] = {"content": HTML_BODY, "content_type": "text/html", "content_bytes": 300_000}
    answer = {"response": "250 2.0.0 OK 1710429: queued as 4F2kq1", "provider_message_id": "<4F2kq1@mail.example.org>"}
    write(database, message(**email | {"subject": "Welcome to Example", "purpose": "welcome", "status": "suppressed"}))
    write(
        database,
        message(**email | {"subject": "Your invoice", "status": "bounced", "response": "550 5.2.2 mailbox full"}),
    )
    write(
        database,
        message(**email | {"subject": "Your sign-in code", "status": "pending"}, content="Your code: [redacted]"),
    )
    marks = {"marks": "content:cut content:redacted", "subject": "Reset your password", "status": "delivered"}
    write(
        database, message(**email | kept | answer | marks, template="mail/reset.html", user_id="42", flow_id="flow-9")
    )
    text = {
        "receiver": "+16471231111",
        "content": "Your code is [redacted]",
        "provider": "twilio",
        "purpose": "sign_in_code",
    }
    write(database, message("sms", **text, response="queued", occurred_at=now - timedelta(hours=5)))
    write(database, message("sms", **text | {"status": "failed", "response": "21610: unsubscribed"}, occurred_at=now))


def _now(database: Database) -> Any:
    with database.read() as connection:
        return database.now(connection)
