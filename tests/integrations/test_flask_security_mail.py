"""The emails of Flask-Security-Too, as its own ``MailUtil`` hands them to Flask-Mailman and a mail server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask_mailman import Mail
from flask_security import MailUtil

from tests.integrations.mail_hosts import stored_bytes
from tests.integrations.security_host import ANN, SecurityHost
from tests.servers.processes import free_port
from tests.servers.smtp import SmtpServer

Make = Callable[..., SecurityHost]


@pytest.fixture
def make(smtp_server: SmtpServer) -> Iterator[Make]:
    """A function that makes a host with a mail server."""
    hosts = []

    def make_one(**config: Any) -> SecurityHost:
        server: dict[str, Any] = {
            "MAIL_BACKEND": "smtp",
            "MAIL_SERVER": smtp_server.host,
            "MAIL_PORT": smtp_server.port,
        }
        hosts.append(SecurityHost({"RECOVERABLE": True}, mail_util=MailUtil, **server | config))
        Mail(hosts[-1].app)
        return hosts[-1]

    yield make_one
    for host in hosts:
        host.close()


def test_a_reset_is_one_row_whose_link_nobody_can_read(make: Make, smtp_server: SmtpServer) -> None:
    host = make()
    host.client.post("/reset", data={"email": ANN})
    (taken,) = smtp_server.list_envelopes()
    (token,) = set(re.findall(r"/reset/([\w.-]+)", taken["data"].replace("=\r\n", "").replace("=\n", "")))
    (row,) = host.rows("email")
    assert (row.status, row.receiver, row.purpose, row.user_id) == ("sent", ANN, "password_reset", "1")
    assert (row.provider, row.content_type) == ("smtp", "text/html")
    assert row.provider_message_id == row.response.rpartition(" ")[2]
    assert "/reset/[redacted]" in row.content
    assert token.encode() not in stored_bytes(host.app)


def test_a_server_that_is_down_is_a_failed_row(make: Make) -> None:
    host = make(MAIL_PORT=free_port())
    with pytest.raises(ConnectionRefusedError):
        host.client.post("/reset", data={"email": ANN})
    (row,) = host.rows("email")
    assert (row.status, row.receiver, row.purpose) == ("failed", ANN, "password_reset")
    assert row.response.startswith("ConnectionRefusedError: ")
