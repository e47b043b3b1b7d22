"""Take the secrets out of a text before it is written anywhere: the values the caller knows, then what looks like one.

The text is read in several views (escapes undone, tags dropped), each finder names places in a view, and the places
they come from are replaced. Every pattern takes time in proportion to the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import MelodyLogsError
from .code_finder import find_codes
from .known_secrets import KnownSecret, find_encoded, find_known, find_spaced, read_secrets, survives
from .link_finder import find_link_secrets
from .redaction_patterns import OTHER_SHAPES, PLACEHOLDER, SHAPE_GROUPS
from .views import View, join_lines, read_aloud, undo_escapes, undo_quoted_printable

#: A place in the original text, and whether the placeholder goes there; the others are further parts of the same find.
_Place = tuple[int, int, bool]


class RedactionError(MelodyLogsError):
    """A known secret is still readable after redaction, so the text must not be kept."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without its secrets, and how many places were replaced."""

    text: str
    count: int


def redact(text: str, *, secrets: Iterable[object] = ()) -> Redacted:
    """Replace the *secrets*, in all their encodings, and whatever looks like a code, a token or a key.

    Order numbers, phone numbers, dates, prices, colours and plain links stay.

    :param secrets: exact values: codes, links, temporary passwords.
    :raise RedactionError: if a secret survives; other exceptions come from reading *secrets*. Withhold the text then.
    """
    return _redact(text, read_secrets(secrets), in_answer=False)


def redact_response(text: str, secrets: Iterable[object] = ()) -> Redacted:
    """Redact a provider's answer: as :func:`redact`, but six digits alone and numeric error codes stay."""
    return _redact(text, read_secrets(secrets), in_answer=True)


def redact_links(text: str) -> str:
    """Redact only what looks secret in links, as in the address of the page before."""
    places: list[_Place] = []
    _note(View(text), find_link_secrets(text), places)
    return _replace(text, places).text if places else text


def _redact(text: str, secrets: list[KnownSecret], *, in_answer: bool) -> Redacted:
    places: list[_Place] = []
    original = View(text)
    sources = [original]
    decoded = undo_quoted_printable(original)
    if decoded is not None:
        sources.append(decoded)
    for source in sources:
        _search_source(source, secrets, in_answer, places)
    if not places:
        return Redacted(text, 0)
    result = _replace(text, places)
    if survives(result.text, secrets):
        raise RedactionError("a known secret could not be removed from the text")
    return result


def _search_source(source: View, secrets: list[KnownSecret], in_answer: bool, places: list[_Place]) -> None:
    written = undo_escapes(source)
    spoken = read_aloud(written)
    if secrets:
        _search_known(source, written, spoken, secrets, places)
    _note(written, find_link_secrets(written.text), places)
    lowered = _lower(written.text)
    _note(written, _find_shapes(lowered), places)
    for view in spoken:
        if view is not written:
            lowered = _lower(view.text)
            _note(view, _find_shapes(lowered), places)
        _note(view, find_codes(view.text, lowered=lowered, in_answer=in_answer), places)


def _search_known(
    source: View, written: View, spoken: list[View], secrets: list[KnownSecret], places: list[_Place]
) -> None:
    for view in dict.fromkeys((source, written, *spoken)):
        _note(view, find_known(view.text, secrets), places)
    compact = "".join(source.text.split())
    if any(form in compact for secret in secrets for form in secret.encoded):
        joined = join_lines(source)
        _note(joined, find_encoded(joined.text, secrets), places)
    for view in spoken:
        _note(view, find_spaced(view.text, secrets), places)


def _find_shapes(lowered: str) -> list[tuple[int, int]]:
    found = []
    shapes = [shape for fragment, group in SHAPE_GROUPS if fragment in lowered for shape in group]
    for needle, pattern in shapes if lowered.isascii() else (*shapes, *OTHER_SHAPES):
        if needle in lowered:
            for match in pattern.finditer(lowered):
                place = match.span(match.lastindex or 0)
                if not lowered.startswith(PLACEHOLDER, place[0]):
                    found.append(place)
    return found


def _note(view: View, found: Iterable[tuple[int, int]], places: list[_Place]) -> None:
    for start, end in found:
        first = True
        for place in view.origins(start, end):
            places.append((*place, first))
            first = False


def _replace(text: str, places: list[_Place]) -> Redacted:
    """Put one placeholder where each find begins and drop its further parts; finds that overlap are one."""
    pieces: list[str] = []
    copied = count = 0
    merged: list[_Place] = []
    for start, end, first in sorted(places):
        if merged and start < merged[-1][1]:
            before = merged.pop()
            merged.append((before[0], max(before[1], end), before[2] or first))
        else:
            merged.append((start, end, first))
    for start, end, first in merged:
        pieces.append(text[copied:start])
        if first:
            pieces.append(PLACEHOLDER)
            count += 1
        copied = end
    pieces.append(text[copied:])
    return Redacted("".join(pieces), count)


def _lower(text: str) -> str:
    """Lower the case without changing the length (``İ`` alone would become two characters)."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)
