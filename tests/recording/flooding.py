"""Failed sign-ins by the hundred, and what the log says of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Flask

from melody_logs.recording.flood import FloodGuard
from melody_logs.state import State, state_of
from tests.hosts import make_host
from tests.storage.rows import read_all

WHOLE = 20
Record = Callable[[dict[str, Any]], str | None]


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


class Attack(NamedTuple):
    """What an attack has recorded: how often each event id came back, and those of the successes."""

    failures: Counter[str | None]
    successes: list[str | None]


def attack(record: Record, *, failures: int, addresses: int) -> Attack:
    """Record *failures* from so many *addresses*, with a success after each 500th.

    They try 1,000 accounts in turn from 20 networks or more.
    """
    done = Attack(Counter(), [])
    for number in range(failures):
        ip = f"8.{number % addresses // 250}.{number % 20}.{number % addresses % 250}"
        fields = {"identity": f"user{number % 1000}@example.org", "ip": ip, "user_agent": f"Tool/{number % 7}"}
        done.failures[record(fields | {"success": False, "reason": "wrong_password"})] += 1
        if number % 500 == 499:
            done.successes.append(record(fields | {"success": True, "user_id": number}))
    return done
