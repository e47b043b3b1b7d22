"""Find the exact values that the caller names as secret, in every form in which a message may carry them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from urllib.parse import quote, quote_plus

from .link_finder import split_link
from .redaction_patterns import PLACEHOLDER

MOST_SECRETS = 256
#: Together; the search takes time in proportion, and nobody sends a longer code, link or password.
MOST_CHARACTERS = 65_536
_SHORT = 6
_LONGEST_SPACED = 32
_SEPARATORS = r"[\s.·_\-]{0,8}"
_LEAST_PART = 4
_LEAST_BASE64 = 6
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
#: How many characters of base64 belong partly to the bytes before the value, by its offset in a group of three bytes.
_SHARED_CHARACTERS = (0, 2, 3)


class KnownSecret:
    """One secret, with the forms to look for."""

    __slots__ = ("encoded", "forms", "link_places", "spaced", "value", "words")

    def __init__(self, value: str) -> None:
        self.value = value
        self.link_places: list[tuple[int, int]] = []
        parts = {value}
        if "://" in value:
            parts = self._read_link(value)
        elif value.isdigit() is False and re.fullmatch(r"[0-9](?:[ \-]?[0-9])+", value):
            parts.add(re.sub(r"[ \-]", "", value))
        self.forms = tuple(sorted({form for part in parts for form in _written_forms(part)}, key=len, reverse=True))
        self.encoded = tuple(dict.fromkeys(form for part in {*parts, value} for form in _base64_forms(part)))
        self.spaced = tuple(part for part in map(_squeeze, parts) if _is_code_like(part))
        #: A passphrase, whose spaces may be a line's end or wider where a mail is wrapped or indented.
        words = value.split()
        self.words = re.compile(r"\s{1,99}".join(map(re.escape, words))) if _is_passphrase(words) else None

    def _read_link(self, link: str) -> set[str]:
        """Take a link apart: what looks secret goes wherever it stands, the rest of its values only within the link."""
        secret, possible = split_link(link)
        self.link_places = sorted({*secret, *possible})
        if not self.link_places:
            return {link}
        parts = {link[start:end] for start, end in secret if end - start >= _LEAST_PART}
        # Without a telling part, the encoded link goes as a whole; where it is written plainly its path stays.
        return parts or {form for form in _written_forms(link) if form != link}


def read_secrets(secrets: object) -> list[KnownSecret]:
    """Prepare what a caller handed over as ``secrets``: one value or many, of any type that has a text.

    :raise ValueError: for more than 256 values, or more than 65,536 characters together; and whatever reading them
        raises, so that the body is withheld.
    """
    if secrets is None:
        return []
    if isinstance(secrets, list) and all(isinstance(secret, KnownSecret) for secret in secrets):
        return secrets
    values = list(islice(_flatten(secrets, depth=3), MOST_SECRETS + 1))
    if len(values) > MOST_SECRETS:
        raise ValueError(f'"secrets" has more than {MOST_SECRETS} values; hand over only those in this message')
    if sum(map(len, values)) > MOST_CHARACTERS:
        raise ValueError(f'"secrets" has more than {MOST_CHARACTERS} characters; hand over codes, links and passwords')
    return [KnownSecret(value) for value in dict.fromkeys(values) if value not in PLACEHOLDER]


def list_secrets(secrets: object) -> list[object]:
    """List what a caller handed over as ``secrets``, so that it can be read more than once.

    What an iterator cannot give stands in the list as a value that cannot be read: so the texts are withheld.
    """
    if secrets is None:
        return []
    if not isinstance(secrets, Iterable) or isinstance(secrets, str | bytes | bytearray | memoryview | Mapping):
        return [secrets]
    values = list[object]()
    try:
        values.extend(islice(secrets, MOST_SECRETS + 1))
    except Exception:
        values.append(UNREADABLE)
    return values


class _Unreadable:
    def __str__(self) -> str:
        raise ValueError('"secrets" could not be read')


#: Stands for secrets that are not known although there are some: with it among them the texts are withheld.
UNREADABLE = _Unreadable()


def find_known(text: str, secrets: Iterable[KnownSecret]) -> Iterator[tuple[int, int]]:
    """Yield the places of the secrets as written: raw or percent-encoded, and the values within a known link."""
    for secret in secrets:
        for form in secret.forms:
            yield from _occurrences(text, form)
        if secret.link_places:
            for start, _ in _occurrences(text, secret.value):
                yield from ((start + first, start + last) for first, last in secret.link_places)
        if secret.words is not None:
            yield from (match.span() for match in secret.words.finditer(text))


def find_encoded(text: str, secrets: Iterable[KnownSecret]) -> Iterator[tuple[int, int]]:
    """Yield the places of the secrets in base64, whose line ends are dropped."""
    for secret in secrets:
        for form in secret.encoded:
            for start, end in _occurrences(text, form):
                # The characters beside it hold the value's first and last bits.
                yield start - (start > 0 and text[start - 1] in _BASE64), end + (text[end : end + 1] in _BASE64)


def find_spaced(text: str, secrets: Iterable[KnownSecret]) -> Iterator[tuple[int, int]]:
    """Yield the places where a code stands with spaces, dashes or line ends between its characters."""
    codes = [code for secret in secrets for code in secret.spaced]
    squeezed = _squeeze(text) if codes else ""
    for code in codes:
        if squeezed.count(code) > text.count(code):
            pattern = _SEPARATORS.join(map(re.escape, code))
            if code.isdigit():
                pattern = f"(?<![0-9]){pattern}(?![0-9])"
            yield from (match.span() for match in re.finditer(pattern, text))


def survives(text: str, secrets: Iterable[KnownSecret]) -> bool:
    """Say whether a secret is still readable in a redacted text."""
    return any(form in text for secret in secrets for form in secret.forms if len(form) >= _SHORT)


def _flatten(value: object, depth: int) -> Iterator[str]:
    if value is None or value is True or value is False:
        return
    if isinstance(value, str):
        text = str.__str__(value)
    elif isinstance(value, bytes | bytearray):
        text = bytes(value).decode("utf-8", "replace")
    elif isinstance(value, Mapping) and depth:
        yield from _flatten(value.values(), depth - 1)
        return
    elif isinstance(value, Iterable) and depth:
        for item in value:
            yield from _flatten(item, depth - 1)
        return
    else:
        text = str(value)
    if text.strip():
        yield text.strip()


def _written_forms(value: str) -> Iterator[str]:
    yield value
    if value.isalnum() and value.isascii():
        return
    for encode, safe in ((quote, ""), (quote, "/"), (quote_plus, "")):
        form = encode(value, safe=safe, errors="replace")
        yield form
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), form)


def _base64_forms(value: str) -> Iterator[str]:
    """Yield what base64 makes of the value at each of the three offsets it may have in a longer text."""
    data = value.encode("utf-8", "replace")
    for offset, shared in enumerate(_SHARED_CHARACTERS):
        whole = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
        core = whole[shared:] if (offset + len(data)) % 3 == 0 else whole[shared:-1]
        if len(core) >= _LEAST_BASE64:
            yield core
            if "+" in core or "/" in core:
                yield core.replace("+", "-").replace("/", "_")


def _squeeze(text: str) -> str:
    return "".join(text.split()).replace("-", "").replace(".", "").replace("·", "").replace("_", "")


def _is_code_like(code: str) -> bool:
    return 4 <= len(code) <= _LONGEST_SPACED and code.isalnum() and any(map(str.isdigit, code))


def _is_passphrase(words: list[str]) -> bool:
    return len(words) > 1 and sum(map(len, words)) >= _SHORT


def _occurrences(text: str, form: str) -> Iterator[tuple[int, int]]:
    length = len(form)
    start = text.find(form)
    while start >= 0:
        if length >= _SHORT or _stands_alone(text, start, start + length):
            yield start, start + length
        start = text.find(form, start + length)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Say whether a short value is not merely a part of a longer number or word."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if re.fullmatch("%[0-9A-Fa-f]{2}", text[max(0, start - 3) : start]):
        before = ""
    if text[start].isdigit():
        return not before.isdigit() and not after.isdigit()
    return not (before.isalnum() and before.isascii()) and not (after.isalnum() and after.isascii())
