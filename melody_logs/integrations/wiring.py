"""Connects integrations to an app: those asked for at once, the others when their library is found."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from typing import Any

from flask import Flask, appcontext_pushed

from ..errors import ConfigurationError
from ..recording.guard import guarded
from ..state import State
from .catalogue import FOUND_AUTOMATICALLY
from .integration import APPS, Integration

_WAIT_SECONDS = 0.5


def install(app: Flask, state: State, asked: Iterable[Integration]) -> None:
    """Connect what the host has asked for, and look for more whenever the app is entered.

    A library may be initialised after ``init_app``, or imported in a view. Looking costs three comparisons while no
    extension, no attribute of the app (Flask-Login is one) and no module was added.

    :raise ConfigurationError: if an integration that was asked for cannot be connected.
    """
    APPS.add(app)
    for integration in asked:
        connect(app, state, integration)
    if not state.settings.auto_integrate:
        return
    seen = (0, 0, 0)
    one_at_a_time = threading.Lock()

    @guarded
    def look(sender: object = None, **_: Any) -> None:
        nonlocal seen
        now = (len(app.extensions), len(vars(app)), len(sys.modules))
        # A request that comes at once waits until the libraries are connected; but a fork may have kept the lock.
        if now == seen or not one_at_a_time.acquire(timeout=_WAIT_SECONDS):
            return
        try:
            if now != seen:
                find(app, state)
                seen = now
        finally:
            one_at_a_time.release()

    appcontext_pushed.connect(look, sender=app)
    state.receivers.append(look)
    look()


def connect(app: Flask, state: State, integration: Integration) -> None:
    """Connect one integration that the host has asked for; it takes the place of one that was found.

    :raise ConfigurationError: if its library is missing, too old or half-configured, or it was asked for already.
    """
    known = state.integrations.get(integration.name)
    if known is not None and integration.name not in state.found_integrations:
        raise ConfigurationError(f'"{integration.name}" is connected on "{app.name}" already: call logs.use() once')
    integration.check(app)
    if known is None:
        integration.connect(app, state)
    state.integrations[integration.name] = integration
    state.found_integrations.discard(integration.name)
    state.integration_problems.pop(integration.name, None)


def find(app: Flask, state: State) -> None:
    """Connect each library that is found in use; what cannot be connected is kept for the coverage report."""
    for make in FOUND_AUTOMATICALLY:
        if make.name in state.integrations or make.name in state.integration_problems:
            continue
        integration = make()
        try:
            if integration.is_used(app):
                connect(app, state, integration)
                state.found_integrations.add(integration.name)
        except Exception as error:
            state.integration_problems[make.name] = _explain(error)


def _explain(error: Exception) -> str:
    return str(error) if isinstance(error, ConfigurationError) else f"{type(error).__name__}: {error}"
