"""How functions of libraries are wrapped."""

from __future__ import annotations

from typing import Any

import pytest

from melody_logs.integrations.wrapping import unwrap, wrap_once


def test_a_function_of_a_library_is_wrapped_once_and_put_back() -> None:
    class Library:
        def send(self, text: str) -> str:
            return text

    def make(send: Any) -> Any:
        return lambda self, text: f"<{send(self, text)}>"

    original = Library.send
    for _ in range(2):
        wrap_once(Library, "send", make)
    assert Library().send("hello") == "<hello>"
    assert Library.send.__name__ == "send"
    unwrap(Library, "send")
    unwrap(Library, "send")
    assert Library.send is original
    with pytest.raises(AttributeError):
        wrap_once(Library, "receive", make)
