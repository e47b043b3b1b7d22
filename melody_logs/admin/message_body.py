"""A stored message: its body in a sandbox of its own, as text, and as source."""

from __future__ import annotations

import dataclasses
import html.parser
import re
from typing import Any

from flask import Response, abort, request

from ..recording.redaction_patterns import PLACEHOLDER
from ..state import state_of
from ..storage.queries import find
from ..vocabulary import MESSAGE_KINDS, Kind
from .addresses import read_row_id, require_enabled
from .headers import BODY_HEADERS
from .visible_text import reveal_lines

VIEWS = ("rendered", "text", "source")
_BLOCKS = {"p", "div", "br", "tr", "li", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "blockquote"}
#: Chromium opens a connection for a frame before it asks the policy, which tells the sender who reads and when; other
#: browsers do so for links to resources. Under another name these tags mean nothing.
_CONNECTING_TAGS = re.compile(r"<(/?)(iframe|frame|frameset|fencedframe|portal|object|embed|link|base|meta)\b", re.I)
_UNSEEN = {"script", "style", "head", "title", "template", "noscript"}


@dataclasses.dataclass(frozen=True, slots=True)
class Body:
    """A body as the viewer shows it: *text* is empty where the frame shows it instead."""

    views: tuple[str, ...]
    view: str
    text: str
    is_kept: bool
    is_redacted: bool


def present_body(row: Any, view: str | None) -> Body:
    """Choose what the viewer shows; an unknown *view* is the first there is.

    HTML may be rendered, text is shown as it is.
    """
    views = VIEWS if _is_html(row) else ("text", "source")
    chosen = view if view is not None and view in views else views[0]
    marks = row.marks or ""
    return Body(
        views,
        chosen,
        "" if chosen == "rendered" else reveal_lines(_body_text(row, chosen)),
        is_kept=bool(row.content),
        is_redacted="content:redacted" in marks or PLACEHOLDER in (row.content or ""),
    )


def send_body(kind: Kind, row_id: str) -> Response:
    """The body alone, under headers that let it run, load and reach nothing."""
    require_enabled(kind)
    if kind not in MESSAGE_KINDS:
        abort(404)
    row = find(state_of().database, kind, read_row_id(row_id))
    if row is None:
        abort(404)
    view = request.args.get("view", "rendered")
    if view not in VIEWS:
        abort(400, f'"view" accepts {", ".join(VIEWS)}.')
    is_rendered = view == "rendered" and _is_html(row)
    if is_rendered:
        response = Response(disarm(row.content or ""), mimetype="text/html")
    else:
        response = Response(_body_text(row, view), mimetype="text/plain")
    response.headers.update(BODY_HEADERS)
    return response


def disarm(source: str) -> str:
    """Rename the tags of HTML that make a browser connect somewhere although the policy forbids the load."""
    return _CONNECTING_TAGS.sub(r"<\1blocked-\2", source)


def extract_text(source: str) -> str:
    """Take the readable text out of HTML, a line for each block; scripts and styles are left out."""
    parser = _TextParser()
    parser.feed(source)
    parser.close()
    lines = (re.sub(r"[ \t\r\f\v]+", " ", line).strip() for line in "".join(parser.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _body_text(row: Any, view: str) -> str:
    content = row.content or ""
    return extract_text(content) if view == "text" and _is_html(row) else content


def _is_html(row: Any) -> bool:
    return bool(row.content_type.startswith("text/html"))


class _TextParser(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Begin a line at a block; count how deep we are in what is not shown."""
        self._unseen += tag in _UNSEEN
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        """Take ``<br/>`` as a line end; an element without content hides nothing."""
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """End a line at a block."""
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Keep the text; its own line ends mean nothing in HTML."""
        if not self._unseen:
            self.parts.append(data.replace("\n", " "))
