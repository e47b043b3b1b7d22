from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from melody_logs.geolocation.locate import Location, Lookup
from melody_logs.recording.entries import Entry, build_message, build_sign_in, from_json, to_json, to_row
from melody_logs.recording.request_facts import RequestFacts
from melody_logs.settings import Settings
from melody_logs.storage.models import MODELS
from melody_logs.vocabulary import KINDS, OUTCOMES, STATUS_RANK
from tests.recording import hostile

KEY = b"k" * 32
FACTS = RequestFacts(
    ip="8.8.8.8", user_agent="Firefox", referrer="https://example.org/", endpoint="login", request_id="r1"
)
SIGN_IN_FIELDS = [
    "identity", "success", "outcome", "event", "reason", "user_id", "method", "ip", "user_agent", "referrer",
    "endpoint", "request_id", "flow_id", "account_known",
]  # fmt: skip
MESSAGE_FIELDS = [
    "receiver", "subject", "content", "content_type", "success", "status", "response", "purpose", "template",
    "provider", "provider_message_id", "user_id", "flow_id", "request_id", "secrets",
]  # fmt: skip


def sign_in(facts: RequestFacts = FACTS, **fields: Any) -> dict[str, Any]:
    return build_sign_in(fields, facts=facts, key=KEY).values


def email(body_max_kilobytes: int = 256, **fields: Any) -> dict[str, Any]:
    settings = Settings(body_max_kilobytes=body_max_kilobytes)
    return build_message("email", fields, facts=RequestFacts(), settings=settings).values


def test_a_sign_in_carries_its_fields_and_the_facts_of_the_request() -> None:
    values = sign_in(
        identity="ann@example.org", success=False, reason="wrong_password", user_id=7, method="password", flow_id="f1"
    )
    hidden = {"identity_hash", "occurred_at"}
    assert {name: value for name, value in values.items() if name not in hidden} == {
        "event": "sign_in", "outcome": "failure", "reason": "wrong_password", "method": "password", "marks": None,
        "identity": "ann@example.org", "user_id": "7", "user_id_is_integer": True, "ip": "8.8.8.8",
        "geo_state": "pending", "user_agent": "Firefox", "referrer": "https://example.org/", "endpoint": "login",
        "request_id": "r1", "flow_id": "f1",
    }  # fmt: skip
    assert abs(values["occurred_at"] - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("fields", "outcome", "marks"),
    [
        ({"success": True}, "success", None),
        ({"success": False}, "failure", None),
        ({}, "failure", None),
        ({"outcome": "challenge", "success": True}, "challenge", None),
        ({"outcome": "locked"}, "failure", "outcome:invalid"),
        ({"success": "yes"}, "failure", "success:invalid"),
    ],
)
def test_outcome_follows_the_word_else_the_success(fields: dict[str, Any], outcome: str, marks: str | None) -> None:
    values = sign_in(**fields)
    assert (values["outcome"], values["marks"]) == (outcome, marks)


def test_a_success_has_no_reason_and_other_words_are_kept() -> None:
    assert sign_in(success=True, reason="wrong_password")["reason"] is None
    assert sign_in(success=False, reason="moon phase")["reason"] == "moon phase"


def test_an_unknown_event_is_a_marked_sign_in() -> None:
    assert sign_in(event="recovery")["event"] == "recovery"
    assert (values := sign_in(event="dance"))["event"] == "sign_in" and values["marks"] == "event:invalid"


@pytest.mark.parametrize(
    ("ip", "kept", "state"),
    [("8.8.8.8", "8.8.8.8", "pending"), ("10.0.0.1", "10.0.0.1", "not_applicable"), (None, None, "not_applicable"),
     ("::ffff:8.8.4.4", "8.8.4.4", "pending"), ("<script>", None, "not_applicable")],
)  # fmt: skip
def test_only_public_addresses_wait_for_their_location(ip: str | None, kept: str | None, state: str) -> None:
    values = sign_in(RequestFacts(), ip=ip)
    assert (values["ip"], values["geo_state"]) == (kept, state)
    assert values["marks"] == ("ip:invalid" if ip == "<script>" else None)


def test_a_trusted_header_location_is_final_for_the_sender_only() -> None:
    location = Location(
        country="DE", continent="EU", region=None, region_code=None, city="Berlin\0", timezone=None,
        latitude=52.5, longitude=1e400, asn=None, as_org=None,
    )  # fmt: skip
    lookup = Lookup(state="done", location=location, source="cloudflare headers")
    facts = RequestFacts(ip="8.8.8.8", header_location=lookup)
    values = sign_in(facts)
    assert (values["geo_state"], values["country"], values["city"]) == ("done", "DE", "Berlin␀")
    assert (values["latitude"], values["longitude"], values["geo_source"]) == (52.5, None, "cloudflare headers")
    assert sign_in(facts, ip="8.8.4.4")["geo_state"] == "pending"


def test_a_reset_token_in_the_referrer_is_not_kept() -> None:
    assert (
        sign_in(referrer="https://example.org/reset?token=abc")["referrer"]
        == "https://example.org/reset?token=[redacted]"
    )


def test_huge_fields_are_cut_and_marked() -> None:
    values = sign_in(user_agent="x" * 1_000_000, identity="y" * 10_000 + "@example.org")
    assert len(values["user_agent"]) == 512 and values["identity"] == "y•••"
    assert values["marks"].split() == ["identity:cut", "identity:masked", "user_agent:cut"]


def test_event_ids_are_time_ordered_and_kept_when_valid() -> None:
    first, second = (build_sign_in({}, facts=FACTS, key=KEY).event_id for _ in range(2))
    assert uuid.UUID(first).version == 7 and first < second
    assert build_sign_in({}, facts=FACTS, key=KEY, event_id=first.upper()).event_id == first
    assert uuid.UUID(build_sign_in({}, facts=FACTS, key=KEY, event_id="' OR 1=1").event_id).version == 7


def test_a_message_is_redacted_in_all_its_texts() -> None:
    values = email(
        receiver=["ann@example.org", "bob@example.org"], subject="Your code 482913", content="<p>tulip</p>",
        response="250 OK tulip", success=True, secrets=["482913", "tulip"],
    )  # fmt: skip
    assert values["receiver"] == "ann@example.org, bob@example.org"
    assert values["subject"] == "Your code [redacted]"
    assert (values["content"], values["content_type"]) == ("<p>[redacted]</p>", "text/html")
    assert values["response"] == "250 OK [redacted]"
    assert values["content_bytes"] == len("<p>tulip</p>")
    assert "secrets" not in values and values["status"] == "sent"


def test_secrets_given_as_an_iterator_reach_every_text() -> None:
    values = email(subject="tulip", content="tulip", response="tulip", secrets=iter(["tulip"]))
    assert {values["subject"], values["content"], values["response"]} == {"[redacted]"}


def test_texts_are_withheld_when_redaction_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The row stays; that something went wrong is logged, without the texts."""
    with caplog.at_level(logging.ERROR, "melody_logs"):
        values = email(receiver="ann@example.org", subject="tulip", content="tulip", secrets=[hostile.Unreadable()])
    assert (values["receiver"], values["subject"], values["content"], values["response"]) == (
        "ann@example.org", None, None, None,
    )  # fmt: skip
    assert values["marks"] == "content:withheld" and values["content_bytes"] == 5
    assert "withheld" in caplog.text and "tulip" not in caplog.text


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"success": True}, "sent"), ({"success": False}, "failed"), ({}, "unknown"), ({"status": "pending"}, "pending"),
     ({"status": "delivered", "success": False}, "delivered"), ({"status": "flying", "success": True}, "sent")],
)  # fmt: skip
def test_status_follows_the_word_else_the_success(fields: dict[str, Any], status: str) -> None:
    assert email(**fields)["status"] == status


def test_an_amendment_without_a_status_takes_the_row_to_no_other_phase() -> None:
    event_id = str(uuid.uuid4())
    entry = build_message("sms", {"purpose": "x"}, facts=FACTS, settings=Settings(), event_id=event_id, amends=True)
    assert (entry.values["status"], entry.values["request_id"], entry.event_id) == ("pending", None, event_id)


@pytest.mark.parametrize(
    ("given_type", "content", "kept"),
    [(None, "Hello", "text/plain"), (None, "<p>Hello</p>", "text/html"), ("html", "Hello", "text/html"),
     ("text/html; charset=utf-8", "Hello", "text/html"), ("no type", "3 < 5", "text/plain"),
     (None, None, "text/plain")],
)  # fmt: skip
def test_content_type_is_as_given_or_guessed(given_type: str | None, content: str | None, kept: str) -> None:
    assert email(content_type=given_type, content=content)["content_type"] == kept


def test_a_body_is_cut_in_bytes_and_its_full_size_kept() -> None:
    values = email(body_max_kilobytes=1, content="é" * 1000)
    assert values["content"] == "é" * 512 and values["content_bytes"] == 2000
    assert values["marks"] == "content:cut"
    assert email(body_max_kilobytes=0, content="hello")["content"] == ""


@pytest.mark.parametrize("shift", [0, 1, 5, 500, 65_530, 65_536, 65_540])
def test_no_half_of_a_secret_is_left_at_the_cut(shift: int) -> None:
    """Wherever the limit, or the end of what is redacted, falls within the secret."""
    secret = "tulip-orchid-violet-77"
    content = "x y " * 256 + "z" * shift + secret + " end " * 20_000
    values = email(body_max_kilobytes=1, content=content, secrets=[secret])
    assert "tul" not in values["content"]
    shrinking = f"{secret * 4000} filler {secret}{secret}"
    kept = email(body_max_kilobytes=1, content="z" * shift + shrinking, secrets=[secret])["content"]
    assert "tul" not in kept and "orch" not in kept and len(kept) <= 1024


def test_a_huge_body_costs_no_more_than_its_limit() -> None:
    """A 25 MB body, as text and as bytes."""
    for content in ("Hello 482913 " * 2_000_000, b"Hello 482913 " * 2_000_000):
        started = datetime.now(UTC)
        values = email(content=content, secrets=["482913"])
        assert datetime.now(UTC) - started < timedelta(seconds=2)
        assert values["content_bytes"] == 26_000_000 and len(values["content"]) <= 256 * 1024
        assert "482913" not in values["content"] and "content:cut" in values["marks"]


def test_an_entry_survives_the_spool() -> None:
    for entry in (
        build_sign_in({"identity": "ann", "user_id": 7}, facts=FACTS, key=KEY),
        build_message("sms", {"content": "naïve \ud800 😀"}, facts=FACTS, settings=Settings(), amends=True),
    ):
        assert from_json(to_json(entry)) == entry


def test_values_of_a_newer_version_reach_no_column() -> None:
    entry = build_sign_in({}, facts=FACTS, key=KEY)
    newer = Entry(entry.kind, entry.event_id, entry.values | {"mood": "calm"}, entry.amends)
    read = from_json(to_json(newer))
    row = to_row(read)
    assert read.values["mood"] == "calm" and "mood" not in row.values
    assert row.values["event_id"] == entry.event_id and row.kind == "sign-in"


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"[]", b"{}", b"null", b"[" * 100_000, b'{"kind":"email","event_id":"x","amends":true,"values":{}}'],
)  # fmt: skip
def test_a_broken_entry_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an entry"):
        from_json(data)


def _check(entry: Entry) -> None:
    columns = MODELS[entry.kind].__table__.columns
    row = to_row(from_json(to_json(entry)))
    assert row.values.keys() == entry.values.keys() | {"event_id"}
    for name, value in row.values.items():
        length = getattr(columns[name].type, "length", None)
        if isinstance(value, str):
            assert length is None or len(value) <= length, name
            assert "\0" not in value and not any(0xD800 <= ord(character) < 0xE000 for character in value)
    assert value_is_storable(row.values)


def value_is_storable(values: dict[str, Any]) -> bool:
    return all(isinstance(value, str | int | float | bool | datetime | None) for value in values.values())


_fuzz = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
_notes = st.sampled_from([(), ("forwarded_2", "mapped")])
_facts = st.builds(RequestFacts, *[st.none() | hostile.texts] * 5, proxy_notes=_notes)


@_fuzz
@given(fields=st.dictionaries(st.sampled_from(SIGN_IN_FIELDS), hostile.values), facts=_facts)
def test_any_sign_in_becomes_a_storable_row(fields: dict[str, Any], facts: RequestFacts) -> None:
    entry = build_sign_in(fields, facts=facts, key=KEY)
    assert entry.values["outcome"] in OUTCOMES
    _check(entry)


@_fuzz
@given(
    kind=st.sampled_from([kind for kind in KINDS if kind != "sign-in"]),
    fields=st.dictionaries(st.sampled_from(MESSAGE_FIELDS), hostile.values),
    event_id=st.none() | hostile.values,
    facts=_facts,
)
def test_any_message_becomes_a_storable_row(
    kind: Any, fields: dict[str, Any], event_id: Any, facts: RequestFacts
) -> None:
    entry = build_message(kind, fields, facts=facts, settings=Settings(body_max_kilobytes=1), event_id=event_id)
    assert entry.values["status"] in STATUS_RANK
    _check(entry)
