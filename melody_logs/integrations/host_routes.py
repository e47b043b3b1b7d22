"""Routes of the host that collide with ours: refused where they are there already, told where they come later."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Flask

from ..errors import ConfigurationError
from ..recording.guard import guarded
from ..settings import Settings

_logger = logging.getLogger("melody_logs")


@contextmanager
def routes_on(app: Flask, host: str | None) -> Iterator[None]:
    """Let every route that the block adds be on *host*, which a blueprint cannot say of itself.

    :raise ConfigurationError: if the app matches hosts and there is none, or the other way round.
    """
    if app.url_map.host_matching and host is None:
        raise ConfigurationError(
            'the app was made with host_matching=True, where each route has a host: set "MELODY_LOGS_HOST" to the one '
            'under which the pages and the API shall be, such as "app.example"'
        )
    if host is None:
        yield
        return
    if not app.url_map.host_matching:
        raise ConfigurationError(
            f'"MELODY_LOGS_HOST" is "{host}", but the app does not match hosts: leave the key out, or make the app '
            "with host_matching=True"
        )
    add_url_rule = app.add_url_rule

    def add_on_host(rule: str, *given: Any, **options: Any) -> None:
        add_url_rule(rule, *given, **{"host": host} | options)

    app.add_url_rule = add_on_host  # type: ignore[method-assign]
    try:
        yield
    finally:
        del app.add_url_rule


def refuse_collisions(app: Flask, settings: Settings) -> None:
    """Refuse a prefix under which the host, or another of our own, already has routes.

    :raise ConfigurationError: it names the key, its value and the route.
    """
    prefixes = _prefixes(settings)
    for key, prefix in prefixes.items():
        for other, taken in prefixes.items():
            if key < other and (taken == prefix or taken.startswith(f"{prefix}/") or prefix.startswith(f"{taken}/")):
                raise ConfigurationError(f'"{key}" is "{prefix}" and "{other}" is "{taken}": one lies in the other')
    for collision in _find_collisions(app, settings):
        raise ConfigurationError(collision)


def watch_collisions(app: Flask, settings: Settings) -> None:
    """Log, at the first request, each route that the host has added since under one of our prefixes.

    Nobody asks us when a route is added, and then it is too late to refuse: the requests go on.
    """
    known = frozenset(map(id, app.url_map.iter_rules()))
    is_told = False

    @guarded
    def tell_collisions() -> None:
        nonlocal is_told
        if is_told:
            return
        is_told = True
        for collision in _find_collisions(app, settings, known):
            _logger.error("%s", collision)

    app.before_request(tell_collisions)


def _prefixes(settings: Settings) -> Mapping[str, str]:
    prefixes = {
        "MELODY_LOGS_ADMIN_PREFIX": settings.admin_prefix,
        "MELODY_LOGS_API_PREFIX": settings.api_prefix,
        "MELODY_LOGS_TOKEN_PREFIX": settings.token_prefix,
    }
    # Without an endpoint the prefix is nobody's.
    return prefixes | ({"MELODY_LOGS_DELIVERY_PREFIX": settings.delivery_prefix} if settings.takes_reports else {})


def _find_collisions(app: Flask, settings: Settings, known: Container[int] = ()) -> Iterator[str]:
    # A route on another host or subdomain is in nobody's way.
    place = (settings.host, None) if app.url_map.host_matching else (None, app.url_map.default_subdomain)
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if id(rule) not in known and place == (rule.host, None if app.url_map.host_matching else rule.subdomain)
    ]
    for key, prefix in _prefixes(settings).items():
        # Below the token prefix only one path is ours.
        path = f"{prefix}/token" if key == "MELODY_LOGS_TOKEN_PREFIX" else prefix
        for rule in rules:
            if rule.rule == path or rule.rule.startswith(f"{path}/"):
                yield (
                    f'"{key}" is "{prefix}", but the app has the route "{rule.rule}" ({rule.endpoint}) there: '
                    f"set {key} to another path"
                )
