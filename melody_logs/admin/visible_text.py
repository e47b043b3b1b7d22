"""Text from outside, made safe to look at: control, bidi and invisible characters become visible marks."""

from __future__ import annotations

import re
import unicodedata

#: Joiners and variation selectors are legal between emoji; anywhere else they hide something.
_EMOJI_JOINERS = {"\u200d", "\ufe0f"}
_PICTOGRAPHS = 0x2190
#: Cc: control, Cf: format (bidi and zero-width), Cs: surrogates, Co: private use, Zl and Zp: line separators.
_SUSPECT_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_BLANK_LETTERS = {"\u034f", "\u115f", "\u1160", "\u2800", "\u3164", "\uffa0"}
_PLAIN = re.compile(r"[\x20-\x7e\u00a1-\u00ac\u00ae-\u033f]*")


def reveal(text: object, *, keep: str = "") -> str:
    """Replace what cannot be seen by its code point, such as ``[U+202E]``; the characters in *keep* stay."""
    text = "" if text is None else str(text)
    if _PLAIN.fullmatch(text):
        return text
    return "".join(
        character if character in keep or _is_visible(text, index, character) else f"[U+{ord(character):04X}]"
        for index, character in enumerate(text)
    )


def reveal_lines(text: object) -> str:
    """Do the same for text of several lines, whose line ends and tabs stay."""
    text = "" if text is None else str(text)
    return reveal(text.replace("\r\n", "\n"), keep="\n\t")


def cut_middle(text: str, longest: int) -> str:
    """Cut *text* to *longest* characters by an ellipsis in the middle: for addresses and ids, whose ends matter."""
    if len(text) <= longest:
        return text
    head = longest // 2
    return f"{text[:head]}…{text[len(text) - (longest - 1 - head) :]}"


def cut_end(text: str, longest: int) -> str:
    """Cut *text* to *longest* characters by an ellipsis at the end: for prose."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _is_visible(text: str, index: int, character: str) -> bool:
    if character in _EMOJI_JOINERS:
        return index > 0 and ord(text[index - 1]) >= _PICTOGRAPHS
    return character not in _BLANK_LETTERS and unicodedata.category(character) not in _SUSPECT_CATEGORIES
