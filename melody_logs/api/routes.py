"""What a path of ours means by our routes alone, whatever patterns the host has, and how our key set gives way."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, MapAdapter, Rule
from werkzeug.routing.converters import AnyConverter

#: The name of :class:`LastConverter` in the app's routing.
LAST = "melody_logs_last"


class LastConverter(AnyConverter):
    """Matches given words, but only where no other rule of the folder does, whichever was added first."""

    weight = 1_000_000


class OwnRoutes:
    """The rules of some blueprints on a map of their own.

    :param blueprints: the names of blueprints that are registered on *app*.
    """

    def __init__(self, app: Flask, blueprints: Iterable[str]) -> None:
        names = frozenset(blueprints)
        rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.rpartition(".")[0] in names]
        self._places = {(rule.subdomain, rule.host) for rule in rules}
        own = (Rule(rule.rule, endpoint=rule.endpoint, methods=rule.methods) for rule in rules)
        self._map = Map(own, converters={LAST: LastConverter}, merge_slashes=False)

    def are_at(self, adapter: MapAdapter) -> bool:
        """Say whether a request came to the host or subdomain on which these routes are."""
        if adapter.map.host_matching:
            return any(host == adapter.server_name for _, host in self._places)
        return any(subdomain == adapter.subdomain for subdomain, _ in self._places)

    def find_refusal(self, path: str, method: str) -> HTTPException | None:
        """Give the 404 or 405 that *path* would get if these were all the rules; None if one of them matches."""
        try:
            self._map.bind("").match(path, method)
        except HTTPException as error:
            return error
        return None
