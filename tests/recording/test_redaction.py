from __future__ import annotations

import base64
import html
import json
import quopri
import re
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from melody_logs.recording import link_finder
from melody_logs.recording.redaction import redact, redact_links, redact_response
from melody_logs.recording.redaction_patterns import PLACEHOLDER
from tests.recording import hostile
from tests.recording.redaction_corpus import ANSWERS_STAY, ANSWERS_VANISH, MUST_STAY, MUST_VANISH

SECRET = "tök+en/=x&<y>'9\"z"


@pytest.mark.parametrize(("message", "secret"), MUST_VANISH)
def test_codes_links_and_keys_vanish_unnamed(message: str, secret: str) -> None:
    redacted = redact(message)
    assert secret not in redacted.text
    assert redacted.count >= 1 and PLACEHOLDER in redacted.text


def test_few_harmless_texts_are_touched() -> None:
    """At most 2 of 100 texts without a secret are changed."""
    touched = [text for text in MUST_STAY if redact(text).text != text]
    assert len(touched) <= 0.02 * len(MUST_STAY), touched


@pytest.mark.parametrize(("answer", "secret"), ANSWERS_VANISH)
def test_secrets_vanish_from_provider_answers(answer: str, secret: str) -> None:
    assert secret not in redact_response(answer).text


@pytest.mark.parametrize("answer", ANSWERS_STAY)
def test_ids_and_error_codes_of_providers_stay(answer: str) -> None:
    assert redact_response(answer).text == answer


def _in_longer_base64(secret: str) -> str:
    body = base64.encodebytes(b"Hello Ann, here it comes: " + secret.encode() + b" and a good deal more of text. " * 4)
    return body.decode()


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "percent": lambda secret: quote(secret, safe=""),
    "percent, slash kept": quote,
    "plus": quote_plus,
    "percent, lower case": lambda secret: re.sub("%..", lambda match: match[0].lower(), quote(secret, safe="")),
    "html": html.escape,
    "html numeric": lambda secret: "".join(f"&#{ord(character)};" for character in secret),
    "html hexadecimal": lambda secret: "".join(f"&#x{ord(character):X};" for character in secret),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64, url-safe": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    "base64 body": _in_longer_base64,
    "quoted-printable": lambda secret: quopri.encodestring(("x" * 60 + secret).encode()).decode(),
    "json": json.dumps,
    "json, slash escaped": lambda secret: json.dumps(secret).replace("/", "\\/").replace("=", "\\u003d"),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_a_known_secret_vanishes_in_every_encoding(encode: Callable[[str], str]) -> None:
    carried = encode(SECRET)
    redacted = redact(f"Hello Ann, {carried} is for you.", secrets=[SECRET])
    assert redacted.count >= 1
    assert carried not in redacted.text
    assert redacted.text.startswith("Hello Ann,") and redacted.text.endswith("is for you.")


@pytest.mark.parametrize("padding", ["", "a", "ab", "abc"])
def test_base64_hides_a_secret_at_no_offset(padding: str) -> None:
    carried = base64.b64encode(f"{padding}hunter2-swordfish and more".encode()).decode()
    redacted = redact(carried, secrets=["hunter2-swordfish"]).text
    left = b"".join(_decode(part) for part in redacted.split(PLACEHOLDER))
    assert b"unter2-swordfis" not in left and b"sword" not in left


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4) if len(part) % 4 != 1 else part[:-1])


@pytest.mark.parametrize(
    "carried",
    ["482913", "482 913", "4-8-2-9-1-3", "4 8 2 9 1 3", "482\n913", "<b>4</b><b>8</b><b>2</b><b>9</b><b>1</b><b>3</b>",
     "<td>4</td>\n<td>8</td>\n<td>2</td>\n<td>9</td>\n<td>1</td>\n<td>3</td>", "&#52;82913", "4\u200b82\u200d913",
     "\uff14\uff18\uff12\uff19\uff11\uff13", "4\ufe0f\u20e38\ufe0f\u20e3" + "2913"],
)  # fmt: skip
@pytest.mark.parametrize("secret", ["482913", "482-913", 482913])
def test_a_known_code_vanishes_however_it_is_set(carried: str, secret: object) -> None:
    redacted = redact(f"<p>Order 100200: {carried}.</p>", secrets=[secret])
    assert redacted.count == 1
    assert not set("489") & set(redacted.text)
    assert "Order 100200: " in redacted.text


def test_tags_around_a_split_code_survive() -> None:
    assert redact("<td>4</td><td>8</td><td>2</td><td>9</td>", secrets=["4829"]).text == (
        f"<td>{PLACEHOLDER}</td><td></td><td></td><td></td>"
    )


def test_a_short_secret_leaves_longer_numbers_and_words_alone() -> None:
    assert (
        redact("Order 148291, code 4829, abc", secrets=["4829", "ab"]).text == f"Order 148291, code {PLACEHOLDER}, abc"
    )


def test_a_known_link_keeps_its_path() -> None:
    link = "https://example.org/account/reset?token=beta&lang=en"
    redacted = redact(f'<a href="{html.escape(link)}">{link}</a> {quote(link, safe="")}', secrets=[link]).text
    assert "beta" not in redacted
    assert redacted.count(f"https://example.org/account/reset?token={PLACEHOLDER}&") == 2


@pytest.mark.parametrize("link", ["https://example.org/reset/orangutan", "https://example.org/r?x=orangutan"])
def test_a_known_link_without_a_visible_token_loses_its_last_part(link: str) -> None:
    text = f"Go to {link} or https://click.example/?u={quote(link, safe='')} now"
    redacted = redact(text, secrets=[link]).text
    assert "orangutan" not in redacted and "Go to https://example.org/r" in redacted


def test_secrets_may_come_in_any_shape() -> None:
    for secrets in (
        "hunter2",
        b"hunter2",
        ["hunter2", None, ""],
        {"password": "hunter2"},
        iter(["hunter2"]),
        [["hunter2"]],
    ):
        assert redact("it is hunter2.", secrets=secrets).text == f"it is {PLACEHOLDER}."


def test_unreadable_or_endless_secrets_raise_so_that_the_text_is_withheld() -> None:
    with pytest.raises(RuntimeError):
        redact("text", secrets=[hostile.Unreadable()])
    with pytest.raises(ValueError, match="256"):
        redact("text", secrets=(str(number) for number in iter(int, 1)) and map(str, range(10**9)))


@pytest.mark.parametrize("gap", [" ", "\n", "\r\n   ", "&nbsp;", "\u00a0", " <b>", "=\n ", "%20", "+"])
def test_a_passphrase_vanishes_however_its_line_is_wrapped(gap: str) -> None:
    carried = gap.join(["correct", "horse", "battery", "staple"])
    redacted = redact(f"Log on with: {carried}, dear Ann", secrets=["correct horse battery staple"])
    assert redacted.text.startswith(f"Log on with: {PLACEHOLDER}") and redacted.text.endswith(", dear Ann")
    assert not any(word in redacted.text for word in ("correct", "horse", "battery", "staple"))


def test_huge_secrets_are_refused_at_once() -> None:
    """A host that hands over the whole message as secret waits no longer than for any other."""
    started = time.perf_counter()
    with pytest.raises(ValueError, match="65536 characters"):
        redact("a code", secrets=["<p>x 1=" * 3_000_000])
    assert time.perf_counter() - started < 3


def test_redacting_twice_changes_nothing_more() -> None:
    for message, secret in MUST_VANISH:
        once = redact(message, secrets=[secret]).text
        assert redact(once, secrets=[secret]).text == once


def test_referrers_lose_their_tokens() -> None:
    assert (
        redact_links("https://example.org/reset?token=abc&x=1") == f"https://example.org/reset?token={PLACEHOLDER}&x=1"
    )
    assert redact_links("https://example.org/login") == "https://example.org/login"


@given(link=st.from_regex(link_finder._PLAIN_LINK, fullmatch=True))
def test_rules_find_nothing_in_a_link_that_they_are_spared(link: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link_finder, "_PLAIN_LINK", re.compile(r"(?!)"))
        assert redact_links(link) == link


@given(text=hostile.texts, secret=st.text(st.characters(categories=["L", "N", "P"]), min_size=8, max_size=40))
def test_a_known_secret_never_survives(text: str, secret: str) -> None:
    assume(secret not in PLACEHOLDER)
    assert secret not in redact(text + secret + text, secrets=[secret]).text.replace(PLACEHOLDER, "\n")


@given(text=st.one_of(hostile.texts, hostile.huge_texts))
def test_any_text_can_be_redacted(text: str) -> None:
    redacted = redact(text)
    assert redacted.count > 0 or redacted.text == text
    redact_response(text)


UNITS = [
    "a", "1", "=", "<", "&#", "&#4", "://", "/", "?a=", "%3fa%3d", "1 ", "1-", "1.", "1\n", "123456 ", "code ",
    "password", "password:", "<a", "<a>", '<a title="1', "'", "@a #", "eyJa.", "key-", "token=", "authorization:",
    "A1", "AB12-", "İ", "https://", "/reset/a", "\\", "=\n", "\u200b", "\uff14", "code 123456 ", "x://a:",
    "secret key: abcd ", "basic a", " ",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_time_grows_in_proportion_to_the_text(unit: str) -> None:
    """Eight times the text takes about eight times as long, not sixty-four; quick ones are not compared."""
    short, long = (_best_time(unit * (size // len(unit))) for size in (32_768, 262_144))
    # Quadratic growth would be sixty-fold; what lies between is a busy machine.
    assert long < 0.5 or long < 40 * short


def _best_time(text: str) -> float:
    times = []
    for _ in range(3):
        started = time.process_time()
        redact(text, secrets=["482913"])
        times.append(time.process_time() - started)
    return min(times)
