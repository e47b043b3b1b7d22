"""Values that no host should hand over, and some do."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


class Unreadable:
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Lying:
    """Its text is no text."""

    def __str__(self) -> Any:
        return 42


class Disguised(str):
    """A text that reads differently every time."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = str.__hash__


_characters = st.one_of(
    st.characters(),
    st.characters(categories=["Cs"]),
    st.sampled_from("\0\r\n\x1b\x7f\x9b\u202e\u200b<>&=#%\\0123456789"),
)
texts = st.text(_characters, max_size=200)
huge_texts = st.builds(lambda unit, count: unit * count, st.text(_characters, min_size=1, max_size=3), st.just(5_000))
values: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    texts,
    huge_texts,
    st.booleans(),
    st.integers(),
    st.just(10**5000),
    st.floats(),
    st.binary(max_size=200),
    st.binary(max_size=50).map(bytearray),
    st.uuids(),
    st.lists(texts, max_size=3),
    st.dictionaries(texts, texts, max_size=2),
    st.sampled_from([Unreadable(), Lying(), Disguised("ann"), object(), Unreadable, (x for x in "ab")]),
    st.lists(st.sampled_from([Unreadable(), Lying(), None]), max_size=2),
)
