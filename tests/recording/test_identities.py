from __future__ import annotations

import hmac
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melody_logs.recording.cleaning import Marks
from melody_logs.recording.identities import hash_identity, protect_identity
from tests.recording.hostile import values

KEY = b"k" * 32


def protect(typed: object, known: bool = False) -> tuple[str | None, str | None, str | None]:
    marks = Marks()
    return *protect_identity(typed, known=known, key=KEY, marks=marks), marks.text()


@pytest.mark.parametrize(
    "typed",
    ["ann@example.org", "Ann.Müller+x@mail.example.co.uk", "ann@münchen.example", "ann@xn--mnchen-3ya.example",
     "+16471231111", "+49 30 123-456 78", "0049 30 12345678", "+1 (647) 123-1111", "(647) 123-1111", "06 12 34 56 78"],
)  # fmt: skip
def test_addresses_and_phone_numbers_are_kept_as_typed(typed: str) -> None:
    assert protect(typed)[0] == typed
    assert protect(typed)[2] is None


@pytest.mark.parametrize(
    "typed",
    ["p@ssw0rd", "my p@ss.word", "hunter2", "Tr0ub4dor&3", "s3cret!@example.org", "@example.org", "ann@", "12345678",
     "1234567890", "a@b", "ann@example..org", "4111 1111 1111 1111"],
)  # fmt: skip
def test_what_may_be_a_password_is_masked(typed: str) -> None:
    assert protect(typed)[0] == typed[0] + "•••"
    assert protect(typed)[2] == "identity:masked"


def test_the_mask_does_not_tell_the_length() -> None:
    assert protect("hunter2")[0] == protect("h" * 300)[0] == protect("h")[0]


def test_a_known_account_is_kept() -> None:
    assert protect("ann", known=True)[0] == "ann"


def test_the_hash_finds_the_same_identity_however_typed() -> None:
    assert protect("ANN@Example.org ")[1] == protect("ann@example.org")[1] == hash_identity("ann@example.org", KEY)
    assert hash_identity("Ren\u00e9", KEY) == hash_identity("rene\u0301", KEY)
    assert hash_identity("ann", KEY) != hash_identity("ann", b"other")


@given(text=st.text(st.characters(codec="ascii")))
def test_ascii_is_folded_as_all_text_is(text: str) -> None:
    """The short way for it must give the hashes that are in tables already."""
    folded = unicodedata.normalize("NFC", text.strip()[:320]).casefold()
    assert hash_identity(text, KEY) == hmac.digest(KEY, folded.encode(), "sha256").hex()


def test_nothing_typed_gives_nothing() -> None:
    assert protect(None) == protect("") == protect("  ") == (None, None, None)


@given(value=values)
def test_any_value_is_kept_limited_and_hashed(value: Any) -> None:
    identity, digest, _ = protect(value)
    assert (identity is None) == (digest is None)
    assert identity is None or len(identity) <= 320
    assert digest is None or len(digest) == 64
