"""A host that takes the reports of every provider, behind a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask

from melody_logs import MelodyLogs
from melody_logs.state import state_of
from melody_logs.storage.delivery_history import read_history
from melody_logs.vocabulary import Kind
from tests.deliveries import signing
from tests.hosts import close_host, make_host
from tests.storage.rows import read_all

PREFIX = "/webhooks/melody-logs"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:mail"
EVERY_KEY: dict[str, Any] = {
    "MELODY_LOGS_TWILIO_AUTH_TOKEN": ["an-older-token-of-it", signing.TWILIO_TOKEN],
    "MELODY_LOGS_SENDGRID_PUBLIC_KEY": signing.public_key_text(),
    "MELODY_LOGS_POSTMARK_CREDENTIALS": [signing.POSTMARK],
    "MELODY_LOGS_MAILGUN_SIGNING_KEY": signing.MAILGUN_KEY,
    "MELODY_LOGS_SES_TOPIC_ARN": TOPIC,
}


@dataclass
class Host:
    """A served host, and what its logs say."""

    app: Flask
    logs: MelodyLogs
    url: str

    def post(self, provider: str, **call: Any) -> httpx.Response:
        """Call the endpoint of a provider."""
        return httpx.post(f"{self.url}{PREFIX}/{provider}", timeout=30, trust_env=False, **call)

    def send(self, kind: Kind, provider: str, provider_message_id: str = "m-1") -> None:
        """Record a message that the provider has taken."""
        record = {"status": "accepted", "provider": provider, "provider_message_id": provider_message_id}
        with self.app.app_context():
            assert (self.logs.record_sms if kind == "sms" else self.logs.record_email)(receiver="r", **record)

    def row(self, kind: Kind = "email") -> Any:
        """Read the newest row."""
        return read_all(state_of(self.app).database, kind)[-1]

    def history(self, kind: Kind = "email") -> list[tuple[str, str | None]]:
        """Read what was reported of the newest message: status and detail."""
        return [(line.status, line.detail) for line in read_history(self.row(kind).delivery)]


@pytest.fixture
def new_host(tmp_path: Path, serve: Callable[[Flask], str]) -> Iterator[Callable[..., Host]]:
    """A function that makes and serves a host with every key, or with other settings."""
    apps: list[Flask] = []

    def make(*, keys: dict[str, Any] = EVERY_KEY, database_url: str | None = None, **config: Any) -> Host:
        folder = tmp_path / f"host-{len(apps)}"
        folder.mkdir()
        url = database_url or f"sqlite:///{folder / 'logs.db'}"
        app, logs = make_host(url, tmp_path=folder, **keys | config)
        apps.append(app)
        return Host(app, logs, serve(app))

    yield make
    for app in apps:
        close_host(app)


@pytest.fixture
def host(new_host: Callable[..., Host]) -> Host:
    """A served host with every key."""
    return new_host()
