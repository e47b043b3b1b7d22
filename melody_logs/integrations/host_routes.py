"""Routes of the host that collide with ours: refused where they are there already, told where they come later."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping

from flask import Flask

from ..errors import ConfigurationError
from ..settings import Settings

_logger = logging.getLogger("melody_logs")


def refuse_collisions(app: Flask, settings: Settings) -> None:
    """Refuse a prefix under which the host, or another of our own, already has routes.

    :raise ConfigurationError: it names the key, its value and the route.
    """
    prefixes = _prefixes(settings)
    for key, prefix in prefixes.items():
        for other, taken in prefixes.items():
            if key < other and (taken == prefix or taken.startswith(f"{prefix}/") or prefix.startswith(f"{taken}/")):
                raise ConfigurationError(f'"{key}" is "{prefix}" and "{other}" is "{taken}": one lies in the other')
    for collision in _find_collisions(app, prefixes):
        raise ConfigurationError(collision)


def watch_collisions(app: Flask, settings: Settings) -> None:
    """Log, at the first request, each route that the host has added since under one of our prefixes.

    Nobody asks us when a route is added, and then it is too late to refuse: the requests go on.
    """
    known = frozenset(map(id, app.url_map.iter_rules()))
    is_told = False

    def tell_collisions() -> None:
        nonlocal is_told
        if is_told:
            return
        is_told = True
        for collision in _find_collisions(app, _prefixes(settings), known):
            _logger.error("%s", collision)

    app.before_request(tell_collisions)


def _prefixes(settings: Settings) -> Mapping[str, str]:
    return {
        "MELODY_LOGS_ADMIN_PREFIX": settings.admin_prefix,
        "MELODY_LOGS_API_PREFIX": settings.api_prefix,
        "MELODY_LOGS_TOKEN_PREFIX": settings.token_prefix,
    }


def _find_collisions(app: Flask, prefixes: Mapping[str, str], known: Container[int] = ()) -> Iterator[str]:
    rules = [rule for rule in app.url_map.iter_rules() if id(rule) not in known]
    for key, prefix in prefixes.items():
        # Below the token prefix only one path is ours.
        path = f"{prefix}/token" if key == "MELODY_LOGS_TOKEN_PREFIX" else prefix
        for rule in rules:
            if rule.rule == path or rule.rule.startswith(f"{path}/"):
                yield (
                    f'"{key}" is "{prefix}", but the app has the route "{rule.rule}" ({rule.endpoint}) there: '
                    f"set {key} to another path"
                )
