from __future__ import annotations

import pytest
from flask import Flask

from melody_logs.recording.request_facts import RequestFacts, read_request_facts
from melody_logs.settings import Settings


def read(headers: dict[str, str], **environ: str) -> RequestFacts:
    app = Flask(__name__)
    app.add_url_rule("/login", "login", lambda: "")
    with app.test_request_context("/login", headers=headers, environ_overrides=environ):
        return read_request_facts(Settings())


def test_outside_a_request_there_are_no_facts() -> None:
    assert read_request_facts(Settings()) == RequestFacts()


def test_facts_of_a_request_are_read() -> None:
    facts = read(
        {"User-Agent": "Firefox", "Referer": "https://example.org/", "X-Request-ID": "r1"}, REMOTE_ADDR="203.0.113.7"
    )
    assert facts == RequestFacts("203.0.113.7", "Firefox", "https://example.org/", "login", "r1", None)


def test_forwarded_headers_are_not_believed() -> None:
    assert read({"X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4"}, REMOTE_ADDR="203.0.113.7").ip == "203.0.113.7"


@pytest.mark.parametrize(
    ("traceparent", "request_id"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("garbage", None),
        ("00-short-00f067aa0ba902b7-01", None),
    ],
)
def test_the_trace_id_stands_in_for_a_request_id(traceparent: str, request_id: str | None) -> None:
    assert read({"traceparent": traceparent}).request_id == request_id


def test_location_headers_count_only_when_trusted() -> None:
    app = Flask(__name__)
    with app.test_request_context("/", headers={"CF-IPCountry": "DE"}):
        assert read_request_facts(Settings()).header_location is None
        trusted = read_request_facts(Settings(location_headers="cloudflare")).header_location
    assert trusted is not None and trusted.location is not None and trusted.location.country == "DE"
