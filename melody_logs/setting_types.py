"""What a setting may be: each parser takes a value or its text, or raises ValueError saying what is accepted."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from .vocabulary import KINDS, Kind

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}
LONGEST_RETENTION_DAYS = 36_500
#: The directives of a Content-Security-Policy to which a host may add sources for its layout.
CONTENT_DIRECTIVES = (
    *("script-src", "style-src", "img-src", "font-src", "connect-src", "frame-src", "media-src", "manifest-src"),
    "form-action",
)
#: Sources that let scripts of anybody's run: written in the page, made of text, or from any host.
_ANY_SCRIPT = re.compile(r"'unsafe-(inline|eval)'|([a-z][a-z0-9+.-]*:(//)?)?(\*(:(\*|[0-9]+))?)?(/.*)?", re.I)


@dataclasses.dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Remove the rows of *kind* once they are older than *days*, by ``recorded_at``."""

    kind: Kind
    days: int


def boolean(value: Any) -> bool:
    """Accept a boolean, or its usual words in text."""
    # Flask's from_prefixed_env reads the text "1" as a number.
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("True or False (as text: 1, true, yes, on, 0, false, no, off)")


def optional_text(value: Any) -> str | None:
    """Accept text, a path, or a number that was text; empty text and None mean "not set"."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, bytes) or (not isinstance(value, str) and not hasattr(value, "__fspath__")):
        raise ValueError("text")
    return str(value).strip() or None


def one_of(*words: str) -> Callable[[Any], str]:
    """Make a parser for one of *words*, in any case."""

    def parse(value: Any) -> str:
        for word in words:
            if isinstance(value, str) and value.strip().lower() == word.lower():
                return word
        raise ValueError(" or ".join(f'"{word}"' for word in words))

    return parse


def optional_one_of(*words: str) -> Callable[[Any], str | None]:
    """Make a parser for one of *words*, or nothing."""
    parse_word = one_of(*words)
    return lambda value: None if value is None or value == "" else parse_word(value)


def integer(least: int, most: int) -> Callable[[Any], int]:
    """Make a parser for a whole number from *least* to *most*."""
    accepted = f"a whole number from {least} to {most}"

    def parse(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(accepted)
        return value

    return parse


def number(least: float, most: float) -> Callable[[Any], float]:
    """Make a parser for a number from *least* to *most*."""

    def parse(value: Any) -> float:
        try:
            result = None if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            result = None
        if result is None or not least <= result <= most:
            raise ValueError(f"a number from {least} to {most}")
        return result

    return parse


def identifier(value: Any) -> str:
    """Accept a name that every supported database takes without quoting."""
    if isinstance(value, str) and re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value):
        return value
    raise ValueError("a lower-case SQL name of at most 63 letters, digits and underscores")


def url_prefix(value: Any) -> str:
    """Accept a URL path that starts with a slash, does not end with one and holds no variable."""
    if isinstance(value, str) and re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
        return value
    raise ValueError('a path such as "/admin/logs": a leading slash, none at the end, no variables')


def optional_host(value: Any) -> str | None:
    """Accept the name of a host in lower case, with its port unless that is the usual one, or nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?", value):
        return value
    raise ValueError('the name of a host such as "app.example" or "app.example:8443", in lower case')


def optional_token(value: Any) -> str | None:
    """Accept a secret that goes into a header and is too long to be guessed, or nothing."""
    if value is None or value == "":
        return None
    text = str(value) if isinstance(value, str | int) else ""
    if re.fullmatch(r"[!-~]{16,512}", text):
        return text
    raise ValueError("16 to 512 letters, digits and signs of ASCII, without spaces")


def paths(value: Any) -> tuple[str, ...]:
    """Accept one path, several in a list, or text with paths separated by commas."""
    return _several(value, "a path, or a list of paths")


def several(pattern: str, accepted: str) -> Callable[[Any], tuple[str, ...]]:
    """Make a parser for texts that match *pattern* as a whole: one, or several in a list or separated by commas."""

    def parse(value: Any) -> tuple[str, ...]:
        texts = _several(value, accepted)
        if not all(re.fullmatch(pattern, text) for text in texts):
            raise ValueError(accepted)
        return texts

    return parse


#: Several while a key is exchanged for another.
secrets = several("[!-~]{16,512}", "one or more keys of 16 to 512 letters, digits and signs of ASCII, without spaces")
credentials = several(
    "[!-9;-~]+:[!-~]{8,512}", 'one or more of "user:password", the password 8 to 512 signs of ASCII, without commas'
)
topics = several(
    r"arn:aws(-[a-z]+)*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?",
    'one or more topics such as "arn:aws:sns:eu-west-1:123456789012:mail"',
)


def public_keys(value: Any) -> tuple[str, ...]:
    """Accept public keys of ECDSA as SendGrid shows them: base64 of their DER form, one or several."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    accepted = "one or more public keys of ECDSA in base64, as SendGrid shows them"
    keys = _several(value, accepted)
    for key in keys:
        try:
            is_right = isinstance(load_der_public_key(base64.b64decode(key, validate=True)), EllipticCurvePublicKey)
        except Exception:  # whatever the library makes of it, it is no key
            is_right = False
        if not is_right:
            raise ValueError(accepted)
    return keys


def optional_base_url(value: Any) -> str | None:
    """Accept the http(s) address of a host, perhaps with a path, without a slash at the end; or nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~-]+)*", value):
        return value
    raise ValueError('an address such as "https://app.example", without a slash at the end')


def _several(value: Any, accepted: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        parts: Sequence[Any] = value.split(",")
    elif hasattr(value, "__fspath__"):
        parts = [value]
    elif isinstance(value, list | tuple):
        parts = value
    else:
        raise ValueError(accepted)
    if not all(isinstance(part, str) or hasattr(part, "__fspath__") for part in parts):
        raise ValueError(accepted)
    return tuple(text for text in (str(part).strip() for part in parts) if text)


def stylesheet(value: Any) -> str | None:
    """Accept the name of a file in the app's static folder, a path of the site, or an http(s) address; or nothing."""
    accepted = 'a file of the static folder such as "logs.css", a path such as "/look/logs.css", or an http(s) address'
    if value is None or value == "":
        return None
    if not isinstance(value, str) or re.search(r"[\x00-\x20\x7f\\\\;,'\"<>]", value.strip()):
        raise ValueError(accepted)
    text = value.strip()
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*):", text)
    # Its host becomes a source of the Content-Security-Policy, where neither "*" nor a letter beyond ASCII may stand.
    is_address = re.match(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/|$)", text)
    if text.startswith("//") or (scheme and not is_address) or ".." in text.split("/"):
        raise ValueError(accepted)
    return text


def content_sources(value: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Accept sources by directive of a Content-Security-Policy, as a dict or the same as JSON text.

    Scripts that stand in the page, are made of text or come from any host are refused: the pages show what strangers
    typed.
    """
    accepted = (
        'a dict such as {"style-src": ["https://cdn.example"]}: directives '
        f"{', '.join(CONTENT_DIRECTIVES)}, each with a source or a list of them; for scripts not 'unsafe-inline', "
        "'unsafe-eval' or every host, but a host, or the hash of an inline script"
    )
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
        except ValueError:
            raise ValueError(accepted) from None
    if value is None:
        return ()
    if not isinstance(value, dict) or not set(value) <= set(CONTENT_DIRECTIVES):
        raise ValueError(accepted)
    return tuple((directive, _sources(directive, given, accepted)) for directive, given in value.items())


def _sources(directive: str, given: Any, accepted: str) -> tuple[str, ...]:
    sources = given.split() if isinstance(given, str) else given
    if not isinstance(sources, list | tuple):
        raise ValueError(accepted)
    for source in sources:
        # What ends a source, a directive or a header must not stand in one.
        if not isinstance(source, str) or not re.fullmatch(r"[!-+\--:<-~]+", source):
            raise ValueError(accepted)
        if directive == "script-src" and _ANY_SCRIPT.fullmatch(source):
            raise ValueError(accepted)
    return tuple(sources)


def retention(value: Any) -> tuple[RetentionPolicy, ...]:
    """Accept a list of policies such as ``{"kind": "sign-in", "days": 365}``, or the same as JSON text."""
    accepted = (
        'a list of policies such as {"kind": "sign-in", "days": 365}: kind one of '
        f"{', '.join(KINDS)}, days a whole number from 1 to {LONGEST_RETENTION_DAYS}, one policy a kind"
    )
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except ValueError:
            raise ValueError(accepted) from None
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise ValueError(accepted)
    policies = tuple(_policy(item, accepted) for item in value)
    if len({policy.kind for policy in policies}) != len(policies):
        raise ValueError(accepted)
    return policies


def _policy(item: Any, accepted: str) -> RetentionPolicy:
    if isinstance(item, RetentionPolicy):
        item = dataclasses.asdict(item)
    if not isinstance(item, dict) or set(item) != {"kind", "days"} or item["kind"] not in KINDS:
        raise ValueError(accepted)
    try:
        return RetentionPolicy(item["kind"], integer(1, LONGEST_RETENTION_DAYS)(item["days"]))
    except ValueError:
        raise ValueError(accepted) from None
