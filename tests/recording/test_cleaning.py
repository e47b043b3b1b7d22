from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given

from melody_logs.recording.cleaning import Marks, clean_text, clean_user_id, join_values
from tests.recording.hostile import Lying, Unreadable, values


def clean(value: object, limit: int = 100, one_line: bool = True) -> tuple[str | None, str | None]:
    marks = Marks()
    return clean_text(value, limit=limit, name="field", marks=marks, one_line=one_line), marks.text()


def test_plain_text_and_none_stay_unmarked() -> None:
    assert clean("Ann Müller 😀 \u202e") == ("Ann Müller 😀 \u202e", None)
    assert clean(None) == (None, None)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("a\0b", "a␀b"),
        ("ok\r\n2026 admin login ok", "ok␍␊2026 admin login ok"),
        ("\x1b[2J", "␛[2J"),
        ("a\x7fb\x9bc", "a␡b\ufffdc"),
        ("a\u2028b", "a␤b"),
        ("a\ud800b", "a\ufffdb"),
    ],
)
def test_control_characters_become_visible_and_marked(raw: str, cleaned: str) -> None:
    assert clean(raw) == (cleaned, "field:cleaned")


def test_a_body_keeps_its_lines_and_tabs() -> None:
    assert clean("a\r\n\tb", one_line=False) == ("a\r\n\tb", None)
    assert clean("a\0\x1bb\n", one_line=False) == ("a␀␛b\n", "field:cleaned")


def test_long_text_is_cut_in_characters_and_marked() -> None:
    assert clean("é" * 11, limit=10) == ("é" * 10, "field:cut")
    assert clean("é" * 10, limit=10) == ("é" * 10, None)


def test_bytes_are_decoded_and_marked() -> None:
    assert clean("Grüße".encode()) == ("Grüße", "field:decoded")
    assert clean("Grüße".encode("latin-1")) == ("Gr\ufffd\ufffde", "field:decoded")
    assert clean(b"a" * 1000, limit=10) == ("a" * 10, "field:decoded field:cut")


def test_objects_become_their_text_or_the_name_of_their_type() -> None:
    assert clean(42) == ("42", None)
    assert clean(Unreadable()) == ("<Unreadable>", "field:unreadable")
    assert clean(Lying()) == ("<Lying>", "field:unreadable")
    assert clean(10**5000) == ("<int>", "field:unreadable")


def test_marks_are_kept_whole_within_their_column() -> None:
    marks = Marks()
    for number in range(500):
        marks.add(f"mark{number:04}")
        marks.add(f"mark{number:04}")
    text = marks.text() or ""
    assert 1000 < len(text) <= 1024
    assert all(len(word) == 8 for word in text.split()) and len(set(text.split())) == len(text.split())


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (7, ("7", True)),
        (-7, ("-7", True)),
        (2**63 - 1, (str(2**63 - 1), True)),
        (2**63, (str(2**63), False)),
        (True, ("True", False)),
        ("7", ("7", False)),
        (None, (None, False)),
        (uuid.UUID(int=5), ("00000000-0000-0000-0000-000000000005", False)),
        ("x" * 300, ("x" * 255, False)),
    ],
)
def test_only_a_fitting_integer_stays_a_number(value: object, kept: tuple[str | None, bool]) -> None:
    assert clean_user_id(value, Marks()) == kept


def test_several_values_are_joined() -> None:
    assert join_values(["a@example.org", "b@example.org"], most=10) == "a@example.org, b@example.org"
    assert join_values(("a", Unreadable()), most=10) == "a, <Unreadable>"
    assert join_values("a@example.org", most=10) == "a@example.org"


@given(value=values)
def test_any_value_becomes_limited_storable_text(value: Any) -> None:
    text, marks = clean(value, limit=50)
    assert text is None or len(text) <= 50
    assert text is None or not any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in text)
    assert len(marks or "") <= 1024
