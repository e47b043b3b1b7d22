"""Text, times, counts and page numbers in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from melody_logs.admin.details import explain_marks
from melody_logs.admin.message_body import extract_text
from melody_logs.admin.paging import Pagination
from melody_logs.admin.times import ago, exact, span
from melody_logs.admin.visible_text import cut_end, cut_middle, reveal, reveal_lines
from melody_logs.admin.words import count, say, size

NOW = datetime(2026, 3, 12, 14, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, ""),
        ("plain", "plain"),
        ("Zoë 東京 مرحبا", "Zoë 東京 مرحبا"),
        ("a\u202eb", "a[U+202E]b"),
        ("zero\u200bwidth\ufeff", "zero[U+200B]width[U+FEFF]"),
        ("line\r\nline", "line[U+000D][U+000A]line"),
        ("\x1b[2J", "[U+001B][2J"),
        ("hangul\u3164filler", "hangul[U+3164]filler"),
        ("soft\u00adhyphen", "soft[U+00AD]hyphen"),
        ("👩\u200d👩\u200d👧 ❤\ufe0f", "👩\u200d👩\u200d👧 ❤\ufe0f"),
        ("a\u200db", "a[U+200D]b"),
        ("\ud800", "[U+D800]"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text: str | None, shown: str) -> None:
    assert reveal(text) == shown


def test_text_of_several_lines_keeps_its_lines() -> None:
    assert reveal_lines("one\r\n\ttwo\u202e") == "one\n\ttwo[U+202E]"


def test_cut_text_never_exceeds_its_limit() -> None:
    for length in range(3, 20):
        text = "abcdefghijklmnop"
        assert len(cut_middle(text, length)) <= length and len(cut_end(text, length)) <= length
    assert cut_middle("abcdefghij", 5) == "ab…ij"
    assert cut_end("one two three", 9) == "one two…"


@pytest.mark.parametrize(
    ("seconds", "words"),
    {
        -3600: "12 Mar 2026",
        -1: "just now",
        4: "just now",
        59: "59 s ago",
        60: "1 min ago",
        3_599: "59 min ago",
        3_600: "1 h ago",
        86_399: "23 h ago",
        86_400: "1 day ago",
        29 * 86_400: "29 days ago",
        30 * 86_400: "10 Feb 2026",
    }.items(),
)
def test_times_are_said_as_people_say_them(seconds: int, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words


def test_exact_times_name_their_zone() -> None:
    assert exact(NOW) == "12 Mar 2026, 14:05:09 UTC"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0004, "0 ms"), (0.25, "250 ms"), (2.34, "2.3 s"), (59.7, "1 min"), (125, "2 min 5 s"), (7_260, "2 h 1 min")],
)
def test_spans_are_said_in_at_most_two_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("word", "phrase"),
    [
        ("wrong_password", "Wrong password"),
        ("oauth:github", "OAuth (github)"),
        ("otp", "One-time code"),
        ("mfa", "Second factor"),
        ("the host's_own", "The host's own"),
        (None, ""),
    ],
)
def test_words_of_the_vocabulary_become_phrases(word: str | None, phrase: str) -> None:
    assert say(word) == phrase


def test_counts_and_sizes_have_their_units() -> None:
    assert count("sign-in", 1) == "1 sign-in" and count("sms", 1204) == "1,204 text messages"
    assert (size(0), size(None), size(2048), size(5 * 1024**3)) == ("0 B", "0 B", "2.0 KB", "5.0 GB")


@pytest.mark.parametrize(
    ("number", "pages", "steps"),
    [
        (1, 1, [1]),
        (1, 3, [1, 2, 3]),
        (1, 100, [1, 2, 3, None, 100]),
        (50, 100, [1, None, 48, 49, 50, 51, 52, None, 100]),
        (100, 100, [1, None, 98, 99, 100]),
    ],
)
def test_pages_to_go_to_stay_few(number: int, pages: int, steps: list[int | None]) -> None:
    pagination = Pagination(number, 10, pages * 10)
    assert pagination.steps == steps
    assert (pagination.previous is None) == (number == 1) and (pagination.next is None) == (number == pages)


def test_a_page_says_which_rows_it_shows() -> None:
    assert Pagination(121, 10, 1204).range == "1,201\N{EN DASH}1,204 of 1,204"


def test_marks_are_read_by_field() -> None:
    marks = explain_marks("content:cut identity:masked content:strange alone")
    assert marks["content"] == ("cut to the size limit", "strange")
    assert set(marks) == {"content", "identity", "alone"}
    assert explain_marks(None) == {}


def test_the_text_of_html_has_lines_and_no_scripts() -> None:
    source = "<style>p {}</style><h1>Hi</h1><p>one\n two<br>three</p><script>bad()</script><p>1 &lt; 2</p><noscript>"
    assert extract_text(source) == "Hi\n\none two\nthree\n\n1 < 2"


def test_the_text_of_broken_html_is_still_text() -> None:
    assert extract_text("</div></script>left <b>over" + "<p>" * 1000) == "left over"
