"""Render a page in its frame, or the part of it that htmx asked for, with what every page shows around it."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Any

from flask import g, request, url_for

from ..state import state_of
from ..storage.database import Database
from ..vocabulary import KINDS, TITLES, Kind
from .access import may_write
from .alarm import find_alarm
from .assets import asset_url, host_stylesheets
from .forgery import TOKEN_HEADER, has_secret, make_token, token_field
from .frames import Frame, render_framed
from .templates import find_template, render_template

#: The order of the kinds in the side bar and on the overview.
KIND_ORDER: tuple[Kind, ...] = tuple(sorted(KINDS, key=("sign-in", "email", "sms").index))
_ICONS = {"sign-in": "key", "email": "envelope", "sms": "speech"}


@dataclasses.dataclass(frozen=True, slots=True)
class NavigationItem:
    """A link of the side bar."""

    url: str
    icon: str
    word: str
    is_current: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """What stands around every page: links, assets, and what a form needs."""

    home: str
    icon: str
    stylesheets: tuple[str, ...]
    scripts: tuple[str, ...]
    navigation: tuple[NavigationItem, ...]
    may_write: bool
    token_field: str
    token: str
    htmx_headers: str


def enabled_kinds() -> tuple[Kind, ...]:
    """List the kinds that the app records, in their order on the pages."""
    settings = state_of().settings
    return tuple(kind for kind in KIND_ORDER if settings.is_enabled(kind))


def wants_part() -> bool:
    """Say whether htmx asks for a part of the page: not when it restores a page of the history."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Request-Type", "partial") != "full"
        and "HX-History-Restore-Request" not in headers
    )


def render(
    page: str,
    part: str | None = None,
    *,
    page_title: str,
    reloads: bool = False,
    may_look: bool = True,
    **values: Any,
) -> str:
    """Render the template *page* in its frame, or *part* alone where htmx asked for it; both are in ``melody_logs/``.

    :param page_title: what the window is called.
    :param reloads: browsers without JavaScript load the page again every second.
    :param may_look: as for :func:`find_alarm`.
    """
    layout = make_layout()
    # A host may have a "url_for" of its own in its templates.
    values |= {"layout": layout, "url_for": url_for}
    if part and wants_part():
        return render_template(find_template(part), values)
    alarm = find_alarm(may_look=may_look)
    return render_framed(Frame(page_title, layout, find_template(page), values, reloads, alarm))


def make_layout() -> Layout:
    """Gather what stands around a page; someone who may not read gets no links."""
    changes = may_write() and has_secret()
    token = make_token() if changes else ""
    guest = ("melody-logs-guest.js",) if state_of().settings.base_template else ()
    return Layout(
        home=url_for(".overview"),
        icon=asset_url("icon.svg"),
        stylesheets=(asset_url("melody-logs.css"), *host_stylesheets()),
        scripts=tuple(asset_url(name) for name in (*guest, "htmx-4.0.1.min.js", "melody-logs.js")),
        navigation=_navigation() if "read" in g.get("melody_logs_permissions", ()) else (),
        may_write=may_write(),
        token_field=token_field(),
        token=token,
        htmx_headers=json.dumps({TOKEN_HEADER: token} if token else {}),
    )


def database_now(database: Database) -> datetime:
    """Read the database's clock, by which rows are old or new."""
    with database.read() as connection:
        return database.now(connection)


def _navigation() -> tuple[NavigationItem, ...]:
    kind = (request.view_args or {}).get("kind")
    endpoint = (request.endpoint or "").rpartition(".")[2]
    return (
        NavigationItem(url_for(".overview"), "home", "Overview", endpoint == "overview"),
        *(
            NavigationItem(url_for(".entries", kind=one), _ICONS[one], TITLES[one], kind == one)
            for one in enabled_kinds()
        ),
        NavigationItem(url_for(".retention"), "hourglass", "Retention", endpoint == "retention"),
        NavigationItem(url_for(".health"), "pulse", "Health", endpoint == "health"),
    )
