"""Connects integrations to an app: those asked for at once, the others when their library is found."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from flask import Flask, appcontext_pushed

from ..errors import ConfigurationError
from ..recording.guard import guarded
from ..state import State
from .catalogue import FOUND_AUTOMATICALLY
from .integration import APPS, Integration


def install(app: Flask, state: State, asked: Iterable[Integration]) -> None:
    """Connect what the host has asked for, and look for more whenever the app is entered.

    A library may be initialised after ``init_app``, or imported in a view. Looking costs two comparisons while neither
    an extension nor a module was added.

    :raise ConfigurationError: if an integration that was asked for cannot be connected.
    """
    APPS.add(app)
    for integration in asked:
        connect(app, state, integration)
    if not state.settings.auto_integrate:
        return
    seen: list[tuple[int, int]] = [(0, 0)]

    @guarded
    def look(sender: object = None, **_: Any) -> None:
        now = (len(app.extensions), len(sys.modules))
        if now != seen[0]:
            seen[0] = now
            find(app, state)

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
