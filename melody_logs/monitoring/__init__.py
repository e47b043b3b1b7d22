"""For what watches the app: a probe and metrics for Prometheus, both behind a token of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, current_app

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .metrics import HealthCollector

__all__ = ["make_collector"]


def make_collector(app: Flask | None = None) -> HealthCollector:
    """Make a collector for a registry of your own: ``registry.register(make_collector(app))``.

    Each collection looks at the health once; it never raises and ends within seconds.

    :param app: the app whose logs are measured; by default the current one.
    :raise ConfigurationError: if prometheus-client is not installed.
    """
    try:
        from .metrics import HealthCollector
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'metrics need prometheus-client ({error}): install "melody-logs[prometheus]"'
        ) from error
    return HealthCollector(app or current_app._get_current_object())  # type: ignore[attr-defined]
