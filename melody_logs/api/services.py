"""What the API keeps of one app beside its state: who issues tokens, and the key of cursors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from ..clients.tokens import TokenAuthority
from ..state import state_of
from .cursors import Cursors

_EXTENSION_KEY = "melody_logs_api"


@dataclass(frozen=True, slots=True)
class Services:
    """The API's own objects of one app."""

    authority: TokenAuthority
    cursors: Cursors


def services_of() -> Services:
    """Give the services of the current app, made at the first use: a host may set its SECRET_KEY late."""
    services = current_app.extensions.get(_EXTENSION_KEY)
    if services is None:
        services = current_app.extensions.setdefault(_EXTENSION_KEY, _make_services())
    return cast(Services, services)


def _make_services() -> Services:
    state = state_of()
    authority = TokenAuthority(
        state.database,
        state.derive_key,
        audience=state.settings.api_prefix,
        lifetime_seconds=state.settings.token_lifetime_seconds,
    )
    return Services(authority, Cursors(state.derive_key("cursor")))
