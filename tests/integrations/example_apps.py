"""Loads the apps of examples/, with their logs in files that a test can read."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from melody_logs.state import state_of
from melody_logs.storage.schema import upgrade
from tests.storage.rows import read_all

EXAMPLES = Path(__file__).parents[2] / "examples"


def load_example(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Flask:
    """Load an example with its tables in *folder*; it takes *settings* from the environment, as for a user."""
    settings |= {
        "MELODY_LOGS_DATABASE_URI": f"sqlite:///{folder / 'logs.db'}",
        "MELODY_LOGS_SPOOL_DIR": str(folder / "spool"),
        # Written when the request ends, so that a test may look at once.
        "MELODY_LOGS_WRITER": "direct",
        "MELODY_LOGS_DIRECT_TIMEOUT_MILLISECONDS": "10000",
    }
    for key, value in settings.items():
        monkeypatch.setenv(f"FLASK_{key}", value)
    app: Flask = runpy.run_path(str(EXAMPLES / f"{name}.py"))["app"]
    upgrade(state_of(app).database)
    return app


def read_rows(app: Flask, kind: Any = "sign-in") -> list[Any]:
    """Read what an example has recorded."""
    return read_all(state_of(app).database, kind)


def written_in(folder: Path) -> bytes:
    """Return the bytes of every file in *folder*: the tables and the spool."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
