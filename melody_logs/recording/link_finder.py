"""Find the secrets in links: the value of a token parameter, a long random path segment; the path itself stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from .redaction_patterns import LINK_WORD, PLACEHOLDER, PLAIN_PARAMETER, PLAIN_SEGMENT, SECRET_PARAMETER, STATIC_FILE

_MOST_OF_A_LINK = 8192
_LINK = re.compile(rf"://([^\s\"'<>`\\^{{}}]{{1,{_MOST_OF_A_LINK}}})")
#: A path without a host, as in ``href="/verify/…"``.
_LOCAL_LINK = re.compile(rf"[\"'= (](/[\w\-.~%]{{1,64}}/[^\s\"'<>`\\^{{}}]{{1,{_MOST_OF_A_LINK}}})")
#: A link without its scheme, as text messages have it. The name ends in letters, so that no file or number is one.
_BARE_LINK = re.compile(
    rf"(?<![\w.@/\-])((?:[\w\-]{{1,63}}\.){{1,8}}[A-Za-z]{{2,24}}(?::[0-9]{{1,5}})?/[^\s\"'<>`\\^{{}}]{{1,{_MOST_OF_A_LINK}}})"
)
#: How the name in such a link ends, which is soon found; and the most that stands before that.
_NAME_END = re.compile(r"\.[A-Za-z]{2,24}(?::[0-9]{1,5})?/")
_MOST_OF_A_NAME = 8 * 64
#: Also in a link that is the percent-encoded parameter of another.
_PARAMETER = re.compile(
    r"[?&#;%](?:(?<!%)|3[Ff]|26|23)([\w.\-\[\]]{1,64})(?:=|%3[Dd])(?!https?(?::|%3[Aa]))"
    r"((?:[^&#;\s\"'<>`\\^{}|%]|%(?!3[Ff]|26|23)){1,4096})"
)
#: The address of a plain page, of words alone: none of the rules below finds anything in it.
_PLAIN_LINK = re.compile(r"https?://[A-Za-z0-9.:\-]{1,255}(?:/[a-z._~\-]{0,15}){0,32}")
_PIECE = re.compile(r"[^/?#&=;]+")
_RANDOM_LENGTH = 20
_END_PUNCTUATION = ".,;:!?)]*_"


def find_link_secrets(text: str) -> list[tuple[int, int]]:
    """Return the places of what looks secret in the links of a text, entities already read."""
    found: list[tuple[int, int]] = []
    if _PLAIN_LINK.fullmatch(text):
        return found
    if "://" in text:
        for match in _LINK.finditer(text):
            found.extend(_secret_segments(text, match.start(1), match.end(1), has_host=True))
    if "/" in text:
        for match in _LOCAL_LINK.finditer(text):
            found.extend(_secret_segments(text, match.start(1), match.end(1), has_host=False))
        for match in _find_bare_links(text):
            found.extend(_secret_segments(text, match.start(1), match.end(1), has_host=True))
    if "=" in text or "%3" in text:
        for match in _PARAMETER.finditer(text):
            value = match[2].rstrip(_END_PUNCTUATION)
            if _is_secret_parameter(match[1], value):
                found.append((match.start(2), match.start(2) + len(value)))
    return found


def _find_bare_links(text: str) -> Iterator[re.Match[str]]:
    """Find the places of ``_BARE_LINK``, which alone would be tried at each word: from the ends of names back."""
    done = 0
    for name_end in _NAME_END.finditer(text):
        start = name_end.start()
        first = max(done, start - _MOST_OF_A_NAME)
        while start > first and (text[start - 1].isalnum() or text[start - 1] in "_-."):
            start -= 1
        match = _BARE_LINK.match(text, start) if start < name_end.start() else None
        if match is not None:
            yield match
            done = match.end()


def split_link(link: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the places in a link, known to be secret, of what looks secret, and of all that may be.

    The second list holds every parameter's value and the last path segment, whatever they look like.
    """
    start = link.find("://") + 3
    secret = find_link_secrets(link)
    possible = [match.span(2) for match in _PARAMETER.finditer(link, start) if len(match[2]) > 2]
    path_end = min((index for index in (link.find("?"), link.find("#")) if index >= 0), default=len(link))
    segments = list(_PIECE.finditer(link, start, path_end))[1:]
    if segments and (not possible or (len(segments[-1][0]) > 3 and not LINK_WORD.search(segments[-1][0]))):
        possible.append(segments[-1].span())
    return secret, possible


def looks_random(text: str) -> bool:
    """Say whether *text* is long and mixed as tokens are, not made of words as slugs are."""
    if len(text) < _RANDOM_LENGTH:
        return False
    longest = max(re.split(r"[-_.~]", text), key=len)
    if len(longest) >= 16 and _is_mixed(longest):
        return True
    parts = [part for part in re.split(r"[-_.~]", text) if part]
    mixed = sum(len(part) for part in parts if _is_mixed(part))
    return mixed * 2 > len(text)


def _is_mixed(text: str) -> bool:
    has_digit = any(character.isdigit() for character in text)
    inner = text[1:]
    has_cases = any(map(str.isupper, inner)) and any(map(str.islower, inner))
    return (has_digit and not text.isdigit()) or has_cases


def _secret_segments(text: str, start: int, end: int, *, has_host: bool) -> Iterator[tuple[int, int]]:
    query = text.find("?", start, end)
    path_end = query if query >= 0 else end
    segments = [match.span() for match in _PIECE.finditer(text, start, path_end) if text[match.start() - 1] not in "=&"]
    after_link_word = False
    for index, (first, last) in enumerate(segments):
        if has_host and index == 0:
            continue
        segment = text[first:last].rstrip(_END_PUNCTUATION)
        is_last = index == len(segments) - 1
        if _is_secret_segment(segment, after_link_word, is_last):
            yield first, first + len(segment)
            continue
        if PLAIN_SEGMENT.fullmatch(segment):
            after_link_word = False
        elif LINK_WORD.search(segment):
            after_link_word = True


def _is_secret_segment(segment: str, after_link_word: bool, is_last: bool) -> bool:
    if len(segment) < 4 or segment.startswith(PLACEHOLDER[:-1]) or STATIC_FILE.search(segment):
        return False
    segment = unquote(segment) if "%" in segment else segment
    if looks_random(segment):
        return True
    if not after_link_word:
        return False
    if segment.isdigit():
        return is_last or len(segment) >= 6
    if _is_mixed(segment):
        return not (re.fullmatch(r"[a-z]+(?:-[a-z0-9]{1,4})+", segment) and len(segment) < 12)
    return len(segment) >= 16 and segment.isalnum()


def _is_secret_parameter(name: str, value: str) -> bool:
    if not value or value.startswith(PLACEHOLDER[:-1]):
        return False
    if PLAIN_PARAMETER.search(name):
        return looks_random(value)
    if SECRET_PARAMETER.fullmatch(name):
        return len(name) > 4 or len(value) >= 4
    return looks_random(unquote(value) if "%" in value else value) and "/" not in value and "%2F" not in value.upper()
