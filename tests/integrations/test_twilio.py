"""Twilio against its own library, and a server that answers as Twilio's documentation says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient

from melody_logs import LogUnavailable, MelodyLogs
from melody_logs.coverage import examine
from melody_logs.state import state_of
from melody_logs.storage.delivery_history import read_history
from melody_logs.vocabulary import Kind
from tests.hosts import close_host, make_host
from tests.integrations.twilio_server import TOKEN, TwilioServer, make_client
from tests.servers.processes import free_port
from tests.storage.rows import read_all

CODE = "482913"
TEXT = f"Your code is {CODE}"


@pytest.fixture
def twilio() -> TwilioServer:
    return TwilioServer()


@pytest.fixture
def url(twilio: TwilioServer, serve: Callable[[Flask], str]) -> str:
    return serve(twilio.app)


@pytest.fixture
def make_app(tmp_path: Path, sqlite_url: str) -> Iterator[Callable[..., tuple[Flask, MelodyLogs]]]:
    """A function that makes a host; its clients are found by themselves."""
    apps = []

    def make(**config: Any) -> tuple[Flask, MelodyLogs]:
        app, logs = make_host(sqlite_url, tmp_path=tmp_path / "instance", **config)
        apps.append(app)
        return app, logs

    yield make
    for app in apps:
        close_host(app)


@pytest.fixture
def host(make_app: Callable[..., tuple[Flask, MelodyLogs]]) -> tuple[Flask, MelodyLogs]:
    return make_app()


def rows(app: Flask, kind: Kind = "sms") -> list[Any]:
    return read_all(state_of(app).database, kind)


def test_message_that_twilio_takes_is_one_row(host: tuple[Flask, MelodyLogs], url: str, tmp_path: Path) -> None:
    app, logs = host
    client = make_client(url)
    with app.test_request_context("/forgot"), logs.describing(purpose="sign_in_code", secrets=[CODE], user_id=7):
        message = client.messages.create(to="+16475550100", from_="+15005550006", body=TEXT)
    (row,) = rows(app)
    assert (row.status, row.provider, row.provider_message_id) == ("accepted", "twilio", message.sid)
    assert (row.receiver, row.purpose, row.user_id) == (
        "+16475550100",
        "sign_in_code",
        "7",
    )
    assert row.response == "201: queued"
    assert row.content.startswith("Your code is") and row.content_type == "text/plain"
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"sign_in_code" in files
    for secret in (CODE, TOKEN):
        assert secret.encode() not in files


def test_message_that_twilio_refuses_says_why_and_the_host_hears_it(host: tuple[Flask, MelodyLogs], url: str) -> None:
    app, _ = host
    with app.app_context():
        for number, code in (("+15005550001", 21211), ("+15005550009", 502)):
            with pytest.raises(TwilioRestException) as raised:
                make_client(url).messages.create(to=number, from_="+15005550006", body=TEXT)
            assert raised.value.code == code
    refused, broken = rows(app)
    assert (refused.status, refused.provider_message_id) == ("failed", None)
    assert refused.response == "400: 21211: The 'To' number +15005550001 is not a valid phone number."
    assert (broken.status, broken.response) == ("failed", "502")


def test_twilio_that_is_down_is_a_failure(host: tuple[Flask, MelodyLogs]) -> None:
    app, _ = host
    client = make_client(f"http://127.0.0.1:{free_port()}")
    with app.app_context(), pytest.raises(Exception, match="refused"):
        client.messages.create(to="+16475550100", from_="+15005550006", body=TEXT)
    (row,) = rows(app)
    assert row.status == "failed" and "ConnectionError" in row.response and TOKEN not in row.response


def test_code_of_verify_has_no_body(host: tuple[Flask, MelodyLogs], url: str) -> None:
    app, _ = host
    service = make_client(url).verify.v2.services("VA1")
    with app.app_context():
        service.verifications.create(to="+16475550100", channel="sms", custom_code=CODE)
        service.verifications.create(to="ann@example.org", channel="email")
        service.verifications.create(to="+16475550100", channel="call")
        service.verification_checks.create(to="+16475550100", code=CODE)
    (text,) = rows(app)
    assert (text.purpose, text.content, text.status, text.provider_message_id) == ("mfa", None, "accepted", "VE1")
    assert [(row.receiver, row.purpose) for row in rows(app, "email")] == [("ann@example.org", "mfa")]


def test_what_sends_nothing_leaves_no_row(host: tuple[Flask, MelodyLogs], url: str) -> None:
    app, _ = host
    with app.app_context():
        assert make_client(url).messages.list() == []
    assert rows(app) == []


def test_template_is_named_and_its_values_are_not_kept(host: tuple[Flask, MelodyLogs], url: str) -> None:
    app, _ = host
    with app.app_context():
        make_client(url).messages.create(
            to="whatsapp:+16475550100",
            messaging_service_sid="MG1",
            content_sid="HX1",
            content_variables=f'{{"1": "{CODE}"}}',
        )
    (row,) = rows(app)
    assert (row.template, row.content, row.receiver) == ("HX1", None, "whatsapp:+16475550100")
    assert row.response == "201: accepted"


# The library's own, with the newest aiohttp.
@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning")
def test_asynchronous_client_is_seen_too(host: tuple[Flask, MelodyLogs], url: str) -> None:
    app, _ = host

    async def send() -> Any:
        async with AsyncTwilioHttpClient() as http_client:
            client = make_client(url, http_client=http_client)
            return await client.messages.create_async(to="+16475550100", from_="+15005550006", body=TEXT)

    # In a thread of its own: a browser of other tests may have a loop in this one.
    with app.app_context(), ThreadPoolExecutor(1) as pool:
        message = pool.submit(copy_context().run, lambda: asyncio.run(send())).result()
    assert [(row.status, row.provider_message_id) for row in rows(app)] == [("accepted", message.sid)]


def test_message_that_the_host_announces_itself_is_one_row(host: tuple[Flask, MelodyLogs], url: str) -> None:
    app, logs = host
    with app.app_context(), logs.sending_sms(receiver="+16475550100", purpose="welcome"):
        message = make_client(url).messages.create(to="+16475550100", from_="+15005550006", body="Welcome")
    (row,) = rows(app)
    assert (row.purpose, row.provider_message_id, row.status) == ("welcome", message.sid, "accepted")


def test_kind_that_is_disabled_is_not_recorded(make_app: Callable[..., Any], url: str) -> None:
    app, _ = make_app(MELODY_LOGS_ENABLE_SMS_LOG=False)
    with app.app_context():
        make_client(url).messages.create(to="+16475550100", from_="+15005550006", body=TEXT)
    assert rows(app) == []


def test_nothing_is_sent_that_cannot_be_logged_where_the_host_wants_so(
    make_app: Callable[..., Any], url: str, tmp_path: Path, twilio: TwilioServer
) -> None:
    (tmp_path / "file").write_text("no folder")
    app, _ = make_app(
        MELODY_LOGS_ON_FAILURE="fail_closed", MELODY_LOGS_SPOOL_DIR=str(tmp_path / "file"), MELODY_LOGS_WRITER="spool"
    )
    with app.app_context(), pytest.raises(LogUnavailable):
        make_client(url).messages.create(to="+16475550100", from_="+15005550006", body=TEXT)
    assert twilio.messages == []


def test_status_callbacks_follow_the_message_even_before_it_is_answered(
    make_app: Callable[..., Any], url: str, serve: Callable[[Flask], str]
) -> None:
    app, _ = make_app(MELODY_LOGS_TWILIO_AUTH_TOKEN=TOKEN)
    callback = f"{serve(app)}/webhooks/melody-logs/twilio"
    with app.app_context():
        make_client(url).messages.create(to="+16475550100", from_="+1", body="Hello", status_callback=callback)
    (row,) = rows(app)
    assert (row.status, row.response) == ("delivered", "201: queued")
    assert {line.status for line in read_history(row.delivery)} == {"accepted", "sent", "delivered"}


def test_report_tells_who_hears_nothing_of_deliveries_once_twilio_is_used(
    make_app: Callable[..., Any], url: str
) -> None:
    def told(app: Flask) -> list[str]:
        with app.app_context():
            return [one.remedy for one in examine(app).remarks if one.name == "twilio"]

    app, _ = make_app()
    assert told(app) == [], "the library is loaded, as Flask-Security does, but nothing was sent by it"
    with app.app_context():
        make_client(url).messages.create(to="+16475550100", from_="+15005550006", body=TEXT)
    assert len(rows(app)) == 1
    (remedy,) = told(app)
    assert "MELODY_LOGS_TWILIO_AUTH_TOKEN" in remedy
    hearing, _ = make_app(MELODY_LOGS_TWILIO_AUTH_TOKEN=TOKEN)
    assert told(hearing) == []
