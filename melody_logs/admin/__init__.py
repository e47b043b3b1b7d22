"""The admin pages: one blueprint with its own guard, headers and error pages; nothing is set on the host's app."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Blueprint

from .. import resources
from ..settings import Settings
from .access import guard
from .cleaning import ask_before_clean, show_cleaning, start_clean
from .entries import show_entries, show_entry
from .headers import TALISMAN_VIEW_OPTIONS, protect
from .message_body import send_body
from .overview import show_overview
from .problems import register_problem_pages
from .upkeep import show_health, show_retention

BLUEPRINT_NAME = "melody_logs_admin"
_KIND = "<any('sign-in', email, sms):kind>"


def create_blueprint(settings: Settings) -> Blueprint:
    """Make the blueprint of the pages, under ``MELODY_LOGS_ADMIN_PREFIX``."""
    blueprint = Blueprint(
        BLUEPRINT_NAME,
        __name__,
        url_prefix=settings.admin_prefix,
        template_folder=str(resources.TEMPLATES),
        static_folder=str(resources.STATIC),
        static_url_path="/static",
    )
    blueprint.before_request(guard)
    blueprint.after_request(protect)
    register_problem_pages(blueprint)
    _add(blueprint, "/", "overview", show_overview)
    _add(blueprint, "/retention", "retention", show_retention)
    _add(blueprint, "/health", "health", show_health)
    _add(blueprint, f"/{_KIND}", "entries", show_entries)
    _add(blueprint, f"/{_KIND}/<row_id>", "entry", show_entry)
    _add(blueprint, f"/{_KIND}/<row_id>/body", "message_body", send_body)
    _add(blueprint, f"/{_KIND}/clean", "ask_before_clean", ask_before_clean, needs_write=True)
    _add(blueprint, f"/{_KIND}/clean", "start_clean", start_clean, method="POST", needs_write=True)
    _add(blueprint, f"/{_KIND}/clean/<job_id>", "cleaning", show_cleaning)
    return blueprint


def _add(
    blueprint: Blueprint,
    rule: str,
    endpoint: str,
    function: Callable[..., Any],
    *,
    method: str = "GET",
    needs_write: bool = False,
) -> None:
    # Flask-Talisman fills in the options that it finds on a view, so each app gets views and options of its own.
    view: Any = functools.update_wrapper(functools.partial(function), function)
    view.needs_write = needs_write
    view.talisman_view_options = dict(TALISMAN_VIEW_OPTIONS)
    blueprint.add_url_rule(rule, endpoint, view, methods=[method])
