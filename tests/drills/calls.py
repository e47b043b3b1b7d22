"""Calls of ``record_sign_in`` in this process, timed one by one, and how their times stand to what is promised."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field

from flask import Flask
from sqlalchemy import func, select

from melody_logs import MelodyLogs
from melody_logs.recording.drain import Drain
from melody_logs.state import state_of
from melody_logs.storage.database import Database
from melody_logs.storage.models import SignInLog
from tests.drills.reporting import Drill
from tests.servers.processes import wait_until

#: What the direct writer waits by default, and 50 ms more.
ONE_CALL_SECONDS = 0.3
REST_SECONDS = 0.005
#: The short form runs beside other tests: its bounds only tell a call that hangs.
SHORT_FACTOR = 20


@dataclass
class Calls:
    """Records and keeps the ids that were acknowledged, and what each call took."""

    app: Flask
    logs: MelodyLogs
    ids: list[str | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def record(self, count: int = 1, *, pause_seconds: float = 0.0) -> None:
        """Record attempts, each under a name of its own."""
        with self.app.app_context():
            for _ in range(count):
                identity = f"p{len(self.ids)}@example.org"
                started_at = time.perf_counter()
                self.ids.append(self.logs.record_sign_in(identity=identity, success=True, ip="81.2.69.142"))
                self.seconds.append(time.perf_counter() - started_at)
                time.sleep(pause_seconds)

    def record_for(self, seconds: float, *, pause_seconds: float = 0.005) -> None:
        """Record without end for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.record(pause_seconds=pause_seconds)

    def forget_times(self) -> None:
        """Leave out the calls so far, such as the first one, which opens the spool."""
        self.seconds.clear()

    def expect_promptness(self, drill: Drill, what: str) -> None:
        """Expect one call of 300 ms at most, and of the others 99 of 100 within 5 ms."""
        slow_first = sorted(self.seconds, reverse=True)
        rest = slow_first[1:]
        p99, median = rest[len(rest) // 100], rest[len(rest) // 2]
        one, others = (drill.choose(bound, bound * SHORT_FACTOR) for bound in (ONE_CALL_SECONDS, REST_SECONDS))
        drill.expect(
            f"{what}: slowest of {len(self.seconds):,} calls",
            expected=f"≤ {1000 * one:.0f} ms",
            measured=f"{1000 * slow_first[0]:.1f} ms",
            held=slow_first[0] <= one,
        )
        drill.expect(
            f"{what}: p99 of the others (median {1000 * median:.2f} ms)",
            expected=f"≤ {1000 * others:.0f} ms",
            measured=f"{1000 * p99:.2f} ms",
            held=p99 <= others,
        )

    def expect_all_once(self, drill: Drill, what: str, database: Database | None = None) -> None:
        """Drain, and expect each acknowledged attempt in the table exactly once."""
        state = state_of(self.app)
        acked = [event_id for event_id in self.ids if event_id is not None]
        with suppress(AssertionError):
            wait_until(lambda: drain_quietly(state.drain) and not state.spool.waiting().entries)
        rows = read_event_ids(database or state.database)
        lost, doubled = len(set(acked) - set(rows)), len(rows) - len(set(rows))
        drill.expect(f"{what}: lost of {len(acked):,}", expected=0, measured=lost, held=lost == 0)
        drill.expect(f"{what}: doubled", expected=0, measured=doubled, held=doubled == 0)


def drain_quietly(drain: Drain) -> bool:
    """Drain once; False if that fails."""
    try:
        drain.run_once(include_live=True)
    except Exception:
        return False
    return True


def read_event_ids(database: Database) -> list[str]:
    """List the event ids of all sign-ins."""
    with database.read() as connection:
        return list(connection.scalars(select(SignInLog.event_id)))


def count_sign_ins(database: Database) -> int:
    """Count the sign-ins."""
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(SignInLog)) or 0
