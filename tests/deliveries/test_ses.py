"""Notifications and events of SES through SNS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from melody_logs.storage.delivery_history import read_history
from tests.deliveries.amazon import CERTIFICATE, HOST_NAME, Amazon, amazon_behind_proxy, make_certificate
from tests.deliveries.conftest import TOPIC, Host

MESSAGE = "0102018f-message-000000"
MOMENT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=9)


@pytest.fixture
def amazon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    """Amazon's host, which this process finds under its real name."""
    with amazon_behind_proxy(tmp_path) as (host, environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield host


def event(word: str, *, published: bool = True, **facts: Any) -> dict[str, Any]:
    """One event of the message, by event publishing or as a notification, whose words differ in one name only."""
    place = {"DeliveryDelay": "deliveryDelay", "Rendering Failure": "failure"}.get(word, word.lower())
    named = {"eventType" if published else "notificationType": word, "mail": {"messageId": MESSAGE}}
    return named | {place: {"timestamp": MOMENT.isoformat().replace("+00:00", "Z")} | facts}


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (event("Send"), "accepted"),
        (event("Delivery", smtpResponse="250 ok"), "delivered"),
        (event("Delivery", published=False), "delivered"),
        (event("DeliveryDelay", delayType="MailboxFull"), "accepted"),
        (event("Bounce", bounceType="Permanent"), "bounced"),
        (event("Bounce", bounceType="Transient", bounceSubType="General"), "accepted"),
        (event("Complaint", published=False, complaintFeedbackType="abuse"), "complained"),
        (event("Reject", reason="Bad content"), "failed"),
        (event("Rendering Failure", errorMessage="no such name"), "failed"),
        (event("Open"), "accepted"),
        (event("Delivery") | {"mail": [], "delivery": None}, "accepted"),
        ({"eventType": []}, "accepted"),
        ([1], "accepted"),
        ("Successfully validated SNS topic for Amazon SES event publishing.", "accepted"),
    ],
)
def test_words_of_ses_are_ours(host: Host, amazon: Amazon, given: Any, status: str) -> None:
    host.send("email", "ses", MESSAGE)
    answer = host.post("ses", **amazon.sign(given))
    assert (answer.status_code, host.row().status) == (200, status)


@pytest.mark.parametrize("version", ["1", "2"])
def test_bounce_says_when_and_why(host: Host, amazon: Amazon, version: str) -> None:
    host.send("email", "ses", MESSAGE)
    receivers = [{"emailAddress": "a@example.org", "diagnosticCode": "smtp; 550 5.1.1 no such user"}, {}, None, 5]
    bounce = event("Bounce", bounceType="Permanent", bounceSubType="General", bouncedRecipients=receivers)
    for subject in ({}, {"Subject": "Amazon SES Email Event Notification"}):
        assert host.post("ses", **amazon.sign(bounce, version=version, **subject)).status_code == 200
    (line,) = read_history(host.row().delivery)
    assert line == ("bounced", MOMENT, "Permanent/General: smtp; 550 5.1.1 no such user")
    # The certificate was fetched once.
    assert amazon.asked == [CERTIFICATE.rpartition("/")[2]]


def test_subscription_of_the_topic_is_confirmed(host: Host, amazon: Amazon) -> None:
    """At the host of the topic, whatever address the message says."""
    subscription = {"Type": "SubscriptionConfirmation", "Token": "t&o=k", "SubscribeURL": "https://evil.example/?a=b"}
    assert host.post("ses", **amazon.sign("You have chosen", **subscription)).status_code == 200
    assert amazon.confirmed == [{"Action": "ConfirmSubscription", "TopicArn": TOPIC, "Token": "t&o=k"}]
    amazon.is_broken = True
    assert host.post("ses", **amazon.sign("You have chosen", **subscription)).status_code == 503
    end = subscription | {"Type": "UnsubscribeConfirmation"}
    assert host.post("ses", **amazon.sign("You have been", **end)).status_code == 200
    assert len(amazon.confirmed) == 1


def test_forged_messages_are_refused_and_ask_nobody_else(host: Host, amazon: Amazon) -> None:
    host.send("email", "ses", MESSAGE)
    bounce = event("Bounce", bounceType="Permanent")
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    right = json.loads(amazon.sign(bounce)["content"])
    places = [
        f"https://{HOST_NAME}.evil.example/SimpleNotificationService-1.pem",
        f"https://evil.example/{HOST_NAME}/SimpleNotificationService-1.pem",
        f"https://{HOST_NAME}@evil.example/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        f"http://{HOST_NAME}/SimpleNotificationService-1.pem",
        f"https://{HOST_NAME}/anything/../SimpleNotificationService-1.pem",
        f"https://{HOST_NAME}/SimpleNotificationService-1.pem?x=1",
        f"https://{HOST_NAME}:444/SimpleNotificationService-1.pem",
        "file:///etc/passwd",
        "",
    ]
    calls = [
        amazon.sign(bounce, key=other),
        amazon.sign(bounce, TopicArn="arn:aws:sns:eu-west-1:999999999999:mail"),
        *(amazon.sign(bounce, SigningCertURL=place) for place in places),
        *({"json": right | change} for change in _changes(right)),
    ]
    assert [host.post("ses", **call).status_code for call in calls] == [403] * len(calls)
    assert set(amazon.asked) <= {CERTIFICATE.rpartition("/")[2]}
    for content in (b"", b"[]", b"null", b"{", b'{"TopicArn": 5}', json.dumps(right | {"Type": "Other"}).encode()):
        assert host.post("ses", content=content).status_code == 400
    assert host.row().version == 1 and amazon.confirmed == []


def _changes(right: dict[str, Any]) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = [{"Message": right["Message"] + " "}, {"Timestamp": "2026"}, {"Subject": "new"}]
    changes += [{"Signature": ""}, {"Signature": "!"}, {"SignatureVersion": "1"}, {"SignatureVersion": "3"}]
    return [*changes, {"Type": "SubscriptionConfirmation", "SubscribeURL": "x", "Token": "x"}]


def test_certificate_that_cannot_be_had_is_asked_for_again_but_not_endlessly(host: Host, amazon: Amazon) -> None:
    host.send("email", "ses", MESSAGE)
    bounce = event("Bounce", bounceType="Permanent")
    amazon.is_broken = True
    assert host.post("ses", **amazon.sign(bounce)).status_code == 503
    amazon.is_broken = False
    for name in ("Huge", "Text", "Redirected"):
        place = CERTIFICATE.replace("0123456789abcdef", name)
        assert host.post("ses", **amazon.sign(bounce, SigningCertURL=place)).status_code == 503
    assert host.post("ses", **amazon.sign(bounce)).status_code == 200
    assert host.row().status == "bounced"
    for number in range(20):
        place = CERTIFICATE.replace("0123456789abcdef", f"Text{number}")
        assert host.post("ses", **amazon.sign(bounce, SigningCertURL=place)).status_code == 503
    assert len(amazon.asked) == 10


def test_certificate_that_has_ended_proves_nothing(host: Host, amazon: Amazon) -> None:
    amazon.certificate = make_certificate(amazon.key, days=-1)
    assert host.post("ses", **amazon.sign(event("Bounce"))).status_code == 403


def test_host_that_is_not_amazons_gives_no_certificate(
    new_host: Callable[..., Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who leads the name elsewhere has no TLS certificate for it."""
    with amazon_behind_proxy(tmp_path, host_name="sns.evil.example") as (thief, environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert new_host().post("ses", **thief.sign(event("Bounce"))).status_code == 503
        assert thief.asked == []
