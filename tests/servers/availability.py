"""What to do about a server that cannot be had: a skip with a loud summary, a failure where CI=true."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

PREFIX = "missing server: "


def in_ci() -> bool:
    """Return whether the environment says that this is continuous integration."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def missing(server: str, remedy: str) -> NoReturn:
    """Skip the test that needs ``server``, or fail it where CI=true; ``remedy`` says how to get the server."""
    reason = f"{PREFIX}{server}. {remedy}"
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def report_missing(terminal: pytest.TerminalReporter) -> None:
    """Write which servers were missing and how many tests that cost, so that a green run hides nothing."""
    counts: dict[str, int] = {}
    for report in terminal.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if PREFIX in reason:
            text = reason.split(PREFIX, 1)[1]
            counts[text] = counts.get(text, 0) + 1
    if counts:
        terminal.section("SERVERS MISSING: part of the suite did not run", sep="!", red=True, bold=True)
    for text, count in sorted(counts.items()):
        terminal.write_line(f"{count} test(s) skipped without {text}", red=True)
