"""The layout that a host names in ``MELODY_LOGS_BASE_TEMPLATE``: what it must have, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable

from flask import current_app
from jinja2 import Environment, TemplateNotFound, TemplateSyntaxError, nodes

TROUBLE = "Layout"
#: ``head`` stands inside ``<head>`` and gets our stylesheet and scripts, ``content`` gets the page.
NEEDED_BLOCKS = ("head", "content")


def explain_error(name: str, error: Exception) -> tuple[str, str]:
    """Say why the layout *name* cannot be used, and what helps."""
    if isinstance(error, TemplateNotFound) and error.name == name:
        return f"{_key(name)}, which is in no template folder of the app", "put it there, or correct the key"
    place = f", line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
    return f"{_key(name)}, which raised {type(error).__name__}: {error}{place}", "see the traceback in the app's log"


def explain_missing(name: str, missing: Iterable[str]) -> tuple[str, str]:
    """Say which blocks the layout *name* lacks, and what helps."""
    quoted = " or ".join(f'"{block}"' for block in missing)
    remedy = "give it {% block head %}{% endblock %} inside <head>, and {% block content %}{% endblock %} for the page"
    return f"{_key(name)}, which shows no block {quoted}", remedy


def check_layout(name: str) -> tuple[str, str] | None:
    """Look at the source of the layout *name*, without rendering it; None where nothing is wrong with it."""
    try:
        blocks = _find_blocks(current_app.jinja_env, name)
    except Exception as error:
        return explain_error(name, error)
    missing = [] if blocks is None else [block for block in NEEDED_BLOCKS if block not in blocks]
    return explain_missing(name, missing) if missing else None


def _key(name: str) -> str:
    return f'"MELODY_LOGS_BASE_TEMPLATE" is "{name}"'


def _find_blocks(environment: Environment, name: str) -> set[str] | None:
    """List the blocks of a template and of those that it extends; None where only rendering tells what it extends."""
    blocks: set[str] = set()
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        environment.get_template(name)
        assert environment.loader is not None
        tree = environment.parse(environment.loader.get_source(environment, name)[0], name)
        blocks |= {block.name for block in tree.find_all(nodes.Block)}
        extends = next(iter(tree.find_all(nodes.Extends)), None)
        if extends is None:
            break
        if not isinstance(extends.template, nodes.Const):
            return None
        name = extends.template.value
    return blocks
