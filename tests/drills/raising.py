"""Finds every function of ours that a piece of work calls in its thread, and lets one of them raise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import melody_logs

PACKAGE = str(Path(melody_logs.__file__).parent)
_Site = tuple[str, str]
#: What catches errors itself, what refuses a wrong call on purpose, and what only keeps values.
EXEMPT = {
    ("recording/guard.py", "guarded.<locals>.call"),
    ("recording/recorder.py", "_never_raising.<locals>.call"),
    ("extension.py", "MelodyLogs._record_message"),
    ("extension.py", "MelodyLogs._state"),
    ("extension.py", "_known_fields"),
    ("state.py", "state_of"),
    ("recording/sending.py", "sending"),
    ("recording/sending.py", "Sending.__init__"),
    ("recording/sending.py", "Sending._say"),
}


class InjectedError(RuntimeError):
    """Raised on purpose, where nobody expects it."""


def _site_of(code: CodeType) -> _Site | None:
    """Name a function of ours by its file and its qualified name; None for others and for parts of expressions."""
    if not code.co_filename.startswith(PACKAGE) or code.co_name.startswith("<"):
        return None
    return code.co_filename.removeprefix(PACKAGE + "/"), code.co_qualname


def find_sites(work: Callable[[], Any]) -> list[_Site]:
    """List the functions of ours that *work* leads to, in the order of their first calls.

    Those that the host or Flask calls itself are the doors, which call the others and catch what these raise.
    """
    found: dict[_Site, None] = {}

    def note(frame: FrameType, event: str, argument: object) -> None:
        caller = frame.f_back
        site = _site_of(frame.f_code) if event == "call" else None
        if site is not None and site not in EXEMPT and caller and caller.f_code.co_filename.startswith(PACKAGE):
            found[site] = None

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return list(found)


@contextmanager
def raising_at(site: _Site) -> Iterator[list[_Site]]:
    """Let the function *site* raise at its next call, once; gives a list that then holds the site."""
    raised: list[_Site] = []

    def check(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and _site_of(frame.f_code) == site and not raised:
            raised.append(site)
            raise InjectedError(f"at {site}")

    sys.setprofile(check)
    try:
        yield raised
    finally:
        sys.setprofile(None)
