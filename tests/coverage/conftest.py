"""What is found by an import is left out: another test of this process may have done it."""

from __future__ import annotations

import pytest

from melody_logs.coverage import libraries
from melody_logs.integrations import FlaskLogin, FlaskSecurity, wiring


@pytest.fixture(autouse=True)
def found_by_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only those be found that ask the app for its extensions."""
    for module in (wiring, libraries):
        monkeypatch.setattr(module, "FOUND_AUTOMATICALLY", (FlaskSecurity, FlaskLogin))
