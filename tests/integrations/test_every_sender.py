"""What holds for each library that sends: no secret is readable, and no error of ours reaches the host."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from melody_logs.state import state_of
from tests.drills.raising import find_sites, raising_at
from tests.integrations.mail_hosts import ANN, make_mail_host, stored_bytes
from tests.integrations.senders import PHONE, SENDERS, Servers, make_web_provider
from tests.servers.smtp import SmtpServer
from tests.servers.web import serving
from tests.storage.rows import read_all

#: Neither has a form by which it would be found if it were not named.
CODE, LINK = "wT7-Kq4-pass", "https://host.example/go/rosebud-gardens"
BODY = f"It is {CODE}, or {base64.b64encode(CODE.encode()).decode()}, or open {LINK} now."


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with serving(make_web_provider()) as address:
        yield address


@pytest.fixture
def servers(smtp_server: SmtpServer, web: str) -> Servers:
    return Servers(smtp_server, web)


@pytest.mark.parametrize("name", SENDERS)
def test_no_secret_is_readable_anywhere(
    apps: list[Flask], servers: Servers, name: str, sqlite_url: str, tmp_path: Path
) -> None:
    app, logs = make_mail_host(
        apps, servers.smtp, database_url=sqlite_url, tmp_path=tmp_path, MELODY_LOGS_WRITER="spool"
    )
    kind, prepare = SENDERS[name]
    send = prepare(app, servers)
    state = state_of(app)
    with app.app_context(), logs.describing(purpose="sign_in_code", user_id=7, secrets=[CODE, LINK]):
        send(BODY)
    spooled = stored_bytes(app)
    state.drain.run_once()
    (row,) = read_all(state.database, kind)
    assert (row.status, row.purpose, row.user_id) == ("sent", "sign_in_code", "7")
    assert row.receiver == (PHONE if kind == "sms" else ANN)
    assert row.content.strip() == "It is [redacted], or [redacted], or open https://host.example/go/[redacted] now."
    assert row.provider_message_id
    for stored in (spooled, stored_bytes(app)):
        for secret in (CODE, "rosebud", quote(CODE, safe=""), base64.b64encode(CODE.encode()).decode()):
            assert secret.encode() not in stored


@pytest.mark.parametrize("name", SENDERS)
def test_an_error_of_ours_changes_nothing_for_the_host(
    apps: list[Flask], servers: Servers, name: str, sqlite_url: str, tmp_path: Path
) -> None:
    app, logs = make_mail_host(
        apps, servers.smtp, database_url=sqlite_url, tmp_path=tmp_path, MELODY_LOGS_WRITER="spool"
    )
    send = SENDERS[name].prepare(app, servers)

    def work() -> Any:
        with logs.describing(secrets=[CODE, LINK]):
            return send(BODY)

    with app.app_context():
        usual = work()
        sites = find_sites(work)
        assert len(sites) > 20
        for site in sites:
            with raising_at(site) as raised:
                assert work() == usual, site
            assert raised, site
    state_of(app).drain.run_once()
    assert CODE.encode() not in stored_bytes(app)


@pytest.mark.parametrize("name", SENDERS)
def test_a_message_is_not_read_for_a_log_that_is_off(apps: list[Flask], servers: Servers, name: str) -> None:
    off: dict[str, Any] = {"MELODY_LOGS_ENABLE_EMAIL_LOG": False, "MELODY_LOGS_ENABLE_SMS_LOG": False}
    app, _ = make_mail_host(apps, servers.smtp, **off)
    send = SENDERS[name].prepare(app, servers)
    with app.app_context():
        send(BODY)
        asked = {site[1] for site in find_sites(lambda: send(BODY))}
    assert "recorder_for" in asked
    assert asked <= {
        *("recorder_for", "state_with", "Settings.is_enabled", "is_any_on_its_way", "_find_operation"),
        *("remember_description", "_watch", "wrap_once"),
    }
