"""A host's CSRFProtect and our endpoints for programs: those bring a token or a signature, not a cookie."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Blueprint, Flask

from ..recording.guard import guarded


def make_exemption(app: Flask, blueprints: Sequence[Blueprint]) -> Callable[[], None]:
    """Make a function that exempts *blueprints* from the protection of *app*, once there is one.

    Call it before each request: a host may initialise its protection after melody_logs, and then it costs next to
    nothing.
    """
    known: list[object] = [None]

    @guarded
    def exempt() -> None:
        protection = app.extensions.get("csrf")
        if protection is None or protection is known[0]:
            return
        for blueprint in blueprints:
            protection.exempt(blueprint)
        known[0] = protection

    exempt()
    return exempt
