"""Where the pages find their templates: the host's own ``melody_logs/…`` first, then ours, read as ours are written."""

from __future__ import annotations

from typing import Any

from flask import current_app
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, Template

from .. import resources
from ..state import EXTENSION_KEY, state_of

_ENVIRONMENT_KEY = f"{EXTENSION_KEY}_templates"
#: A template of the host that replaces one of ours may extend or include it under this name.
ORIGINALS = "melody_logs_original"


def find_template(name: str) -> Template:
    """Find the template *name* of ``melody_logs/``."""
    return _our_environment().get_template(f"melody_logs/{name}")


def render_template(template: Template, values: dict[str, Any]) -> str:
    """Render *template* with *values* and, behind them, what the host's context processors give to every template.

    One that raises, on a broken database session for example, is left out: the page does not need it.
    """
    context = dict(values)
    troubles = state_of().troubles
    try:
        current_app.update_template_context(context)
    except Exception as error:
        remedy = "see the traceback; pages go without the values of context processors meanwhile"
        troubles.note("Context processors", f"one of the app's raised {type(error).__name__}: {error}", remedy, error)
    else:
        troubles.settle("Context processors")
    return template.render(context)


def _our_environment() -> Environment:
    """Give the host's template environment with the syntax of our templates, and with escaping on.

    A host may have other delimiters, line statements or no escaping for templates of its own. No bytecode is shared,
    since its cache does not tell one syntax from the other.
    """
    kept = current_app.extensions
    if _ENVIRONMENT_KEY not in kept:
        theirs = current_app.jinja_env
        ours = FileSystemLoader(resources.TEMPLATES)
        originals = PrefixLoader({ORIGINALS: FileSystemLoader(resources.TEMPLATES / "melody_logs")})
        kept[_ENVIRONMENT_KEY] = theirs.overlay(
            block_start_string="{%",
            block_end_string="%}",
            variable_start_string="{{",
            variable_end_string="}}",
            comment_start_string="{#",
            comment_end_string="#}",
            line_statement_prefix=None,
            line_comment_prefix=None,
            trim_blocks=False,
            lstrip_blocks=False,
            newline_sequence="\n",
            keep_trailing_newline=False,
            finalize=None,
            autoescape=True,
            loader=ChoiceLoader([*([theirs.loader] if theirs.loader else []), ours, originals]),
            bytecode_cache=None,
        )
    environment: Environment = kept[_ENVIRONMENT_KEY]
    return environment
