"""Fixtures of the tests against libraries of hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from melody_logs import MelodyLogs
from tests.hosts import make_host
from tests.integrations.openid_provider import Provider
from tests.integrations.security_host import MakeSecured, SecurityHost


@pytest.fixture
def host(apps: list[Flask]) -> tuple[Flask, MelodyLogs]:
    """A host in memory, with every kind of log on."""
    app, logs = make_host()
    apps.append(app)
    return app, logs


@pytest.fixture
def provider() -> Iterator[Provider]:
    """An OpenID Connect provider."""
    made = Provider()
    yield made
    made.released.set()


@pytest.fixture
def provider_url(provider: Provider, serve: Callable[[Flask], str]) -> str:
    """The address of the provider, which is at work."""
    return serve(provider.app)


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


@pytest.fixture(autouse=True)
def without_event_loop() -> Iterator[None]:
    """Let a test run an event loop of its own: one that drives a browser stays marked as running in its process."""
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(running)
