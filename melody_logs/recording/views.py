"""Views of a text: what a reader or a decoder makes of it, with the way back to the places in the original.

A pattern is matched on a view; :meth:`View.origins` then names the places of the original to remove. The tags, escapes
and invisible characters in between stay, so that a redacted page keeps its structure.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache

#: What becomes of a token: its text in the view, and whether the token itself is removed with what is found there.
Reading = tuple[str, bool]


class View:
    """A text made from another by replacing tokens."""

    __slots__ = ("_tokens", "parent", "positions", "text")

    def __init__(self, text: str, parent: View | None = None) -> None:
        self.text = text
        self.parent = parent
        self.positions: list[int] = []
        #: For each position, where its token starts and ends in the parent, and whether the token is removed.
        self._tokens: list[tuple[int, int, bool]] = []

    def origins(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the places in the original text that *start* to *end* of this view come from."""
        if self.parent is None:
            return [(start, end)]
        places: list[tuple[int, int]] = []
        for index in range(bisect_right(self.positions, start) - 1, len(self.positions)):
            position = self.positions[index]
            if position >= end:
                break
            token_start, token_end, removable = self._tokens[index]
            if not removable:
                continue
            if self._is_copy(index):
                token_end = min(token_end, token_start + end - position)
                token_start += max(0, start - position)
            places.extend(self.parent.origins(token_start, token_end))
        return places

    def _add(self, position: int, start: int, end: int, *, removable: bool) -> None:
        self.positions.append(position)
        self._tokens.append((start, end, removable))

    def _is_copy(self, index: int) -> bool:
        following = self.positions[index + 1] if index + 1 < len(self.positions) else len(self.text)
        start, end, _ = self._tokens[index]
        return following - self.positions[index] == end - start


def derive(parent: View, tokens: re.Pattern[str], read: Callable[[str, int], Reading]) -> View:
    """Make a view of *parent* with each token replaced by its reading; *parent* itself if there is no token.

    :param tokens: a pattern with one group, around all of it.
    :param read: gets a token and where it starts in *parent*.
    """
    # Gaps and tokens by turns. Each message pays for this loop, so the lists of the view are filled here.
    parts = tokens.split(parent.text)
    if len(parts) == 1:
        return parent
    view = View("", parent)
    add_position, add_token = view.positions.append, view._tokens.append
    pieces: list[str] = []
    length = start = 0
    is_token = False
    for part in parts:
        end = start + len(part)
        reading, removable = read(part, start) if is_token else (part, True)
        if reading:
            add_position(length)
            add_token((start, end, removable))
            pieces.append(reading)
            length += len(reading)
        start, is_token = end, not is_token
    view.text = "".join(pieces)
    return view


_ESCAPES = re.compile(
    r"(&(?:#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6});?|[A-Za-z][A-Za-z0-9]{1,30};)"  # HTML
    r'|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))'  # JSON (RFC 8259, section 7)
)
#: Quoted-printable (RFC 2045, section 6.7): soft line ends and encoded bytes.
_QUOTED_PRINTABLE = re.compile(r"(=(?:[ \t]{0,8}\r?\n|(?:[0-9A-Fa-f]{2}))(?:=[0-9A-Fa-f]{2})*)")
_LINE_ENDS = re.compile(r"([ \t]{0,8}\r?\n[ \t]{0,8})")
_SHORT_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def undo_escapes(view: View) -> View:
    """Read HTML entities and JSON escapes."""
    if "&" not in view.text and "\\" not in view.text:
        return view
    return derive(view, _ESCAPES, lambda token, _: (_read_escape(token), True))


@lru_cache(maxsize=512)
def _read_escape(token: str) -> str:
    if token[0] == "&":
        return html.unescape(token) or token
    if token[1] == "u":
        return chr(int(token[2:], 16))
    return _SHORT_ESCAPES.get(token[1], token[1])


def undo_quoted_printable(view: View) -> View | None:
    """Read quoted-printable if the text looks like it, else return None."""
    if not ("=3D" in view.text or "=\n" in view.text or "=\r\n" in view.text):
        return None
    return derive(view, _QUOTED_PRINTABLE, lambda token, _: (_read_quoted_printable(token), True))


def _read_quoted_printable(token: str) -> str:
    return bytes(int(pair[:2], 16) for pair in token.split("=") if pair and not pair[0].isspace()).decode(
        "utf-8", "replace"
    )


def join_lines(view: View) -> View:
    """Drop the line ends, as in base64 that is wrapped."""
    return derive(view, _LINE_ENDS, lambda token, _: ("", False))


#: Elements inside a word or sentence; every other tag parts what is before it from what is after.
_INLINE_TAG = re.compile(
    r"</?(?:a|abbr|b|bdi|bdo|big|code|em|font|i|ins|kbd|mark|s|samp|small|span|strong|sub|sup|tt|u|var|wbr)\b",
    re.IGNORECASE,
)
#: The longest name, what stands before it and what ends it.
_TAG_NAME_LENGTH = len("</strong>")
_SPOKEN_ATTRIBUTE = re.compile(
    r"""\b(?:alt|title|value|content|placeholder|aria-label)\s{0,4}=\s{0,4}(?:"([^"]{3,999})"|'([^']{3,999})')""",
    re.IGNORECASE,
)
_INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u20e3\ufe00-\ufe0f\ufeff"
_FOLDED = (
    rf"[{_INVISIBLE}]+"
    r"|[\u00a0\u2000-\u200a\u202f\u205f\u3000]"  # spaces of other widths
    r"|[\u2010-\u2015\u2212\ufe58\ufe63]"  # dashes
    r"|[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]"  # full-width digits and letters; their comma ends a code
    r"|[^\D0-9]"  # digits of other scripts
)
_NOT_PLAIN = re.compile(f"({_FOLDED})")
_IN_HTML = r"<[A-Za-z/!?][^<>]*>|\s\s+"
_NOT_PLAIN_IN_HTML = re.compile(f"({_IN_HTML}|{_FOLDED})")
_NOT_PLAIN_IN_ASCII_HTML = re.compile(f"({_IN_HTML})")


def read_aloud(view: View) -> list[View]:
    """Read the text as a person does: no tags, nothing invisible, ASCII digits, one kind of space and of dash.

    A tag that parts words becomes a line end. The texts of attributes such as ``alt`` and ``title`` make a second view.
    """
    if "<" not in view.text:
        return [view if view.text.isascii() else derive(view, _NOT_PLAIN, _read_character)]
    attributes: list[tuple[int, int]] = []

    def read(token: str, offset: int) -> Reading:
        if token[0].isspace():
            return "\n" if "\n" in token else " ", False
        if token[0] != "<":
            return _read_character(token, offset)
        if len(token) > 12 and _may_speak(token):
            for spoken in _SPOKEN_ATTRIBUTE.finditer(token):
                start, end = spoken.span(spoken.lastindex or 0)
                attributes.append((offset + start, offset + end))
        return _read_tag(token[:_TAG_NAME_LENGTH])

    spoken_text = derive(view, _NOT_PLAIN_IN_ASCII_HTML if view.text.isascii() else _NOT_PLAIN_IN_HTML, read)
    return [spoken_text, _excerpt(view, attributes)] if attributes else [spoken_text]


def _may_speak(tag: str) -> bool:
    """Say whether the search for spoken attributes can find one: it ignores case as Unicode does."""
    if not tag.isascii():
        return True
    low = tag.lower()
    # Not a loop: every tag of a message is asked.
    return "alt" in low or "title" in low or "value" in low or "content" in low or "placeh" in low or "label" in low


@lru_cache(maxsize=512)
def _read_tag(beginning: str) -> Reading:
    # Comments part nothing: React puts them between two pieces of one text.
    is_inline = beginning.startswith("<!--") or _INLINE_TAG.match(beginning) is not None
    return "" if is_inline else "\n", False


def _excerpt(parent: View, places: list[tuple[int, int]]) -> View:
    view = View("\n".join(parent.text[start:end] for start, end in places), parent)
    position = 0
    for start, end in places:
        view._add(position, start, end, removable=True)
        view._add(position + end - start, end, end, removable=False)
        position += end - start + 1
    return view


def _read_character(token: str, _: int) -> Reading:
    reading = _fold_character(token[0])
    return reading, reading not in (" ", "")


@lru_cache(maxsize=1024)
def _fold_character(character: str) -> str:
    if character.isspace():
        return " "
    if "\uff01" <= character <= "\uff5e":
        return chr(ord(character) - 0xFEE0)
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    return "-" if unicodedata.category(character) in ("Pd", "Sm") else ""
