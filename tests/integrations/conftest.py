"""Fixtures for the libraries of hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from melody_logs import MelodyLogs
from tests.integrations.security_host import MakeSecured, SecurityHost


@pytest.fixture
def make_secured() -> Iterator[MakeSecured]:
    """A function that makes a host with the features of Flask-Security that it names."""
    hosts = []

    def make_one(
        logs: MelodyLogs | None = None, *, config: dict[str, Any] | None = None, **features: Any
    ) -> SecurityHost:
        hosts.append(SecurityHost(features, logs, **config or {}))
        return hosts[-1]

    yield make_one
    for host in hosts:
        host.close()
