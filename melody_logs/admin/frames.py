"""The frame around a page: our own document, or the host's layout where it names one that works."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from flask import current_app
from jinja2 import Template, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from ..host_layout import NEEDED_BLOCKS, TROUBLE, explain_error, explain_missing
from ..state import state_of
from .alarm import Alarm
from .templates import find_template, render_template

_MEANWHILE = "pages stand in their own layout meanwhile"


@dataclasses.dataclass(slots=True)
class Frame:
    """What a frame knows, under the one name ``melody_logs``, so that no value of a page hides one of the host's.

    *reloads* asks browsers without JavaScript to load the page again every second.
    """

    title: str
    layout: Any
    page: Template
    values: Mapping[str, Any]
    reloads: bool = False
    alarm: Alarm | None = None
    host_layout: Template | None = None
    trouble: str = ""
    filled: set[str] = dataclasses.field(default_factory=set)
    failure: Exception | None = None

    def fills(self, block: str) -> bool:
        """Note that the layout shows this block."""
        self.filled.add(block)
        return True

    @pass_context
    def content(self, context: Context) -> Markup:
        """Render the page itself; it sees what the frame sees, and its own values before that."""
        try:
            return Markup(self.page.render({**context.get_all(), **self.values}))
        except Exception as error:
            self.failure = error
            raise


def render_framed(frame: Frame) -> str:
    """Render the page in the host's layout, or in our own document where there is none or it does not work."""
    name = state_of().settings.base_template
    text = _render_in_host_layout(frame, name) if name else None
    return render_template(find_template("base.html"), {"melody_logs": frame}) if text is None else text


def _render_in_host_layout(frame: Frame, name: str) -> str | None:
    troubles = state_of().troubles
    failure: Exception | None = None
    text = None
    try:
        # Compiled by the host's own environment: its syntax, escaping, filters and loader hold for its layout.
        frame.host_layout = current_app.jinja_env.get_template(name)
        text = render_template(find_template("_guest.html"), {"melody_logs": frame})
        missing = [block for block in NEEDED_BLOCKS if block not in frame.filled]
        if not missing:
            troubles.settle(TROUBLE)
            return text
        what, remedy = explain_missing(name, missing)
    except Exception as error:
        if frame.failure is not None:
            # The page failed, not the layout around it.
            raise
        failure = error
        what, remedy = explain_error(name, error)
    troubles.note(TROUBLE, what, f"{remedy}; {_MEANWHILE}", failure)
    if current_app.debug:
        frame.trouble = f"{what}; {remedy}."
    return None
