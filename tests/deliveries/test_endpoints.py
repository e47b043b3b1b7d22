"""The endpoints as guests of a host: where they are, what they take, and what they do when something is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask, request
from flask_wtf import CSRFProtect
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from werkzeug.datastructures import Headers

from melody_logs import MelodyLogs
from melody_logs.deliveries.callback import Callback, CallRefused
from melody_logs.deliveries.mailgun import Mailgun
from melody_logs.deliveries.postmark import Postmark
from melody_logs.deliveries.sendgrid import SendGrid
from melody_logs.errors import ConfigurationError
from melody_logs.recording.reports import read_report, write_report
from melody_logs.state import state_of
from melody_logs.storage.deliveries import DeliveryReport
from melody_logs.storage.models import EarlyDelivery
from tests.deliveries import signing
from tests.deliveries.conftest import EVERY_KEY, PREFIX, Host
from tests.deliveries.test_twilio import FIELDS
from tests.servers.processes import wait_until
from tests.servers.server import Server

PROVIDERS = ("twilio", "ses", "sendgrid", "postmark", "mailgun")
AUTH = tuple(signing.POSTMARK.split(":", 1))


def bounce(message: str = "m-1", record: str = "Bounce") -> dict[str, Any]:
    """A call of Postmark."""
    return {"json": {"RecordType": record, "Type": "HardBounce", "MessageID": message}, "auth": AUTH}


def count_waiting(host: Host) -> int:
    with state_of(host.app).database.read() as connection:
        return connection.scalar(select(func.count()).select_from(EarlyDelivery)) or 0


def test_endpoint_is_there_where_its_key_is(new_host: Callable[..., Host]) -> None:
    for number, key in enumerate([None, *EVERY_KEY]):
        host = new_host(keys={key: EVERY_KEY[key]} if key else {})
        there = [name for name in PROVIDERS if host.post(name).status_code != 404]
        assert len(there) == min(number, 1), (key, there)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_only_proven_posts_of_a_bounded_size_are_taken(host: Host, provider: str) -> None:
    url = f"{host.url}{PREFIX}/{provider}"
    assert httpx.get(url).status_code == 405
    assert host.post(provider, content=b"{}", headers={"Content-Type": "application/json"}).status_code in (400, 403)
    assert host.post(provider).status_code in (400, 403)
    large = b"x" * (1024 * 1024 + 1)
    assert host.post(provider, content=large).status_code == 413
    answer = host.post(provider, content=iter([large]))
    assert answer.status_code == 413
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("when", ["before", "after"])
def test_host_with_csrf_protection_lets_providers_in(
    tmp_path: Path, serve: Callable[[Flask], str], when: str, new_host: Callable[..., Host]
) -> None:
    host = new_host()
    guarded_app = Flask("guarded", instance_path=str(tmp_path))
    guarded_app.config.update({name: value for name, value in host.app.config.items() if name.startswith("MELODY_")})
    guarded_app.config["SECRET_KEY"] = "test"
    guarded_app.add_url_rule("/form", "form", lambda: "done", methods=["POST"])
    protection = CSRFProtect(guarded_app) if when == "before" else CSRFProtect()
    MelodyLogs(guarded_app)
    if when == "after":
        protection.init_app(guarded_app)
    host.send("email", "postmark")
    guarded = Host(guarded_app, host.logs, serve(guarded_app))
    assert httpx.post(f"{guarded.url}/form").status_code == 400
    assert guarded.post("postmark", **bounce()).status_code == 200
    assert host.row().status == "bounced"
    state_of(guarded_app).drain_thread.stop(5)
    state_of(guarded_app).database.close()


def test_form_that_a_hook_of_the_host_has_read_is_read_all_the_same(new_host: Callable[..., Host]) -> None:
    host = new_host()
    host.app.before_request_funcs.setdefault(None, []).insert(0, lambda: request.form.get("nothing"))
    host.send("sms", "twilio", "SM1")
    fields = FIELDS | {"MessageStatus": "sent", "Body": "ä+&= \u2028"}
    headers = signing.twilio_headers(f"{host.url}{PREFIX}/twilio", fields)
    assert host.post("twilio", data=fields, headers=headers).status_code == 200
    assert host.row("sms").status == "sent"


def test_prefix_is_a_setting_and_collides_with_nothing() -> None:
    def settle(keys: dict[str, Any], rule: str | None = None) -> Flask:
        app = Flask("host")
        app.config.update({"SECRET_KEY": "x", "SQLALCHEMY_DATABASE_URI": "sqlite://"} | keys)
        if rule:
            app.add_url_rule(rule, "mine", lambda: "mine", methods=["POST"])
        MelodyLogs(app)
        return app

    taken = f"{PREFIX}/twilio"
    assert settle({}, taken).test_client().post(taken).text == "mine"
    with pytest.raises(ConfigurationError, match=f'"MELODY_LOGS_DELIVERY_PREFIX" is "{PREFIX}".*"{taken}" \\(mine\\)'):
        settle(EVERY_KEY, taken)
    with pytest.raises(ConfigurationError, match=r'"MELODY_LOGS_DELIVERY_PREFIX" is "/api/v1/logs/x": one lies in'):
        settle(EVERY_KEY | {"MELODY_LOGS_DELIVERY_PREFIX": "/api/v1/logs/x"})
    moved = settle(EVERY_KEY | {"MELODY_LOGS_DELIVERY_PREFIX": "/hooks"}, taken).test_client()
    assert (moved.post("/hooks/twilio").status_code, moved.post(taken).text) == (403, "mine")


def test_app_that_matches_hosts_has_the_endpoints_on_ours(tmp_path: Path) -> None:
    app = Flask("host", host_matching=True, static_host="app.example", instance_path=str(tmp_path))
    app.config.update(SECRET_KEY="x", SQLALCHEMY_DATABASE_URI="sqlite://", MELODY_LOGS_HOST="app.example", **EVERY_KEY)
    MelodyLogs(app)
    client = app.test_client()
    statuses = [
        client.post(f"{PREFIX}/twilio", base_url=f"https://{name}.example").status_code for name in ("app", "other")
    ]
    assert statuses == [403, 404]


def test_report_that_comes_before_its_message_joins_it(host: Host) -> None:
    assert host.post("postmark", **bounce()).status_code == 200
    assert count_waiting(host) == 1
    host.send("email", "postmark")
    assert (host.row().status, count_waiting(host)) == ("bounced", 0)


def test_kind_that_is_disabled_keeps_no_reports(new_host: Callable[..., Host]) -> None:
    host = new_host(MELODY_LOGS_ENABLE_EMAIL_LOG=False)
    assert host.post("postmark", **bounce()).status_code == 200
    assert count_waiting(host) == 0


def test_report_is_kept_while_the_database_is_away(
    new_host: Callable[..., Host], postgresql_url: str, postgresql_server: Server
) -> None:
    host = new_host(database_url=postgresql_url, MELODY_LOGS_DIRECT_TIMEOUT_MILLISECONDS=250)
    host.send("email", "postmark")
    wait_until(lambda: bool(state_of(host.app).spool.is_drained(1)))
    postgresql_server.kill()
    try:
        assert host.post("postmark", **bounce()).status_code == 200
    finally:
        postgresql_server.start()
    wait_until(lambda: host.row().status == "bounced")


def test_report_that_can_be_kept_nowhere_is_asked_for_again(new_host: Callable[..., Host], tmp_path: Path) -> None:
    """The disk refuses, and the memory for what waits is full."""
    (tmp_path / "file").write_text("no folder")
    host = new_host(
        MELODY_LOGS_SPOOL_DIR=str(tmp_path / "file"), MELODY_LOGS_WRITER="spool", MELODY_LOGS_DRAIN_IN_PROCESS=False
    )
    events = [{"event": "bounce", "sg_message_id": f"m{number}"} for number in range(1_500)]
    answer = host.post("sendgrid", **signing.sendgrid_call(events))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert state_of(host.app).spool.losses.totals() == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "event",
                    "sg_message_id",
                    "timestamp",
                    "reason",
                    "response",
                    "type",
                    "RecordType",
                    "Type",
                    "MessageID",
                    "BouncedAt",
                    "message",
                    "headers",
                    "message-id",
                    "delivery-status",
                    "code",
                    "severity",
                ]
            ),
            inner | st.sampled_from(["bounce", "failed", "Bounce", "SpamComplaint", "delivered", "m-1"]),
            max_size=6,
        )
    ),
    max_leaves=25,
)


@pytest.fixture(scope="module")
def readers() -> Iterator[dict[str, Any]]:
    yield {
        "sendgrid": SendGrid([signing.public_key_text()]),
        "postmark": Postmark([signing.POSTMARK]),
        "mailgun": Mailgun([signing.MAILGUN_KEY]),
    }


@given(JSON)
def test_whatever_is_proven_is_read_or_refused(readers: dict[str, Any], document: Any) -> None:
    """No document is an error of ours, and what is read from it lies in the spool as it came out."""
    with httpx.Client() as client:
        calls = {
            "sendgrid": signing.sendgrid_call([document, document]),
            "mailgun": signing.mailgun_call(document),
            "postmark": {"json": document, "auth": AUTH},
        }
        for name, call in calls.items():
            auth = {"auth": call.pop("auth")} if "auth" in call else {}
            try:
                sent = client.build_request("POST", "http://host.example/", **call)
            except ValueError:  # what JSON does not have
                continue
            sent = next(httpx.BasicAuth(*auth["auth"]).auth_flow(sent)) if auth else sent
            try:
                reports = readers[name].read(Callback(sent.content, Headers(sent.headers.multi_items()), str(sent.url)))
            except CallRefused as refusal:
                assert refusal.status == 400
                continue
            for report in filter(None, reports):
                assert isinstance(report, DeliveryReport)
                assert read_report(write_report(report)) == report
