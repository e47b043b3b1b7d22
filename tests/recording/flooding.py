"""Failed sign-ins by the hundred, and what the log says of them."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask

from melody_logs.recording.flood import FloodGuard
from melody_logs.state import State, state_of
from tests.hosts import make_host
from tests.storage.rows import read_all

WHOLE = 20


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 7200.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class Flood:
    """A host whose clock stands still and whose drain runs when it is told to."""

    def __init__(self, url: str, tmp_path: Any, *, whole: int = WHOLE) -> None:
        config: dict[str, Any] = {"MELODY_LOGS_WRITER": "spool", "MELODY_LOGS_DRAIN_IN_PROCESS": False}
        self.app: Flask
        self.app, _ = make_host(url, tmp_path=tmp_path, MELODY_LOGS_FLOOD_WHOLE_PER_MINUTE=whole, **config)
        self.clock = Clock()
        self.state: State = state_of(self.app)
        self.state.recorder.flood = FloodGuard(whole, clock=self.clock)

    def fail(self, **fields: Any) -> str | None:
        """Record a failure of one person from one address, but for *fields*."""
        usual = {"identity": "ann@example.org", "ip": "8.8.8.8", "success": False, "reason": "wrong_password"}
        with self.app.app_context():
            return self.state.recorder.record_sign_in(usual | fields)

    def rows(self) -> list[Any]:
        """Drain and read the log."""
        self.state.drain.run_once()
        return read_all(self.state.database, "sign-in")

    def counted(self) -> list[Any]:
        """Drain and read the counted rows."""
        return [row for row in self.rows() if row.folded_count is not None]


def sum_attempts(rows: list[Any]) -> int:
    """How many attempts the rows stand for."""
    return sum(row.folded_count or 1 for row in rows)


def samples_of(row: Any) -> list[dict[str, Any]]:
    """The samples of a counted row."""
    samples: list[dict[str, Any]] = json.loads(row.samples)
    return samples
