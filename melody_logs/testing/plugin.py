"""The pytest plugin: it is loaded in every test run of a host, so it imports nothing before a test uses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .entries import RecordedEntries


@pytest.fixture
def melody_logs_entries() -> Iterator[RecordedEntries]:
    """What this test records in any app of this process, and a failure if it holds a secret that the test knows."""
    from ..recording.observing import observe
    from .entries import RecordedEntries

    entries = RecordedEntries()
    with observe(entries.add):
        yield entries
    message = entries.explain_leaks()
    if message is not None:
        # Without a traceback: it would show the values of variables.
        pytest.fail(message, pytrace=False)
