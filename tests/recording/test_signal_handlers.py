"""A signal handler of the host may record wherever its thread is inside melody_logs: nothing waits for itself."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from melody_logs.recording.drain import Drain
from melody_logs.recording.drain_thread import DrainThread
from melody_logs.recording.losses import LossCounter
from melody_logs.recording.spool import Spool
from melody_logs.state import state_of
from tests.hosts import close_host, make_host
from tests.recording.spool_rows import make_database
from tests.storage.rows import read_all

HANDLED = 300


class Handler:
    """Does *work* each time the signal comes, but not while it is at work, and counts how often it did."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.handled = 0
        self._work = work
        self._is_at_work = False

    def __call__(self, *_: object) -> None:
        """Handle the signal."""
        if not self._is_at_work:
            self._is_at_work = True
            self._work()
            self.handled += 1
            self._is_at_work = False


@contextmanager
def interrupted(work: Callable[[], object], every_seconds: float = 0.0005) -> Iterator[Handler]:
    handler = Handler(work)
    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, every_seconds, every_seconds)
    try:
        yield handler
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_losses_are_counted_exactly_below_a_signal_handler() -> None:
    losses = LossCounter()
    counted = told = 0
    with interrupted(lambda: losses.count("sms")) as handler:
        while handler.handled < HANDLED:
            losses.count("sms")
            counted += 1
            if counted % 100 == 0:
                told += sum(loss.lost for loss in losses.take().values())
                losses.confirm()
    assert losses.totals() == {"sms": counted + handler.handled}
    assert told + sum(losses.untold().values()) == counted + handler.handled


def test_thread_is_started_and_woken_below_a_signal_handler(tmp_path: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    drain = Drain(Spool(tmp_path / "spool", destination=database.fingerprint), database)
    threads = [DrainThread(drain, 0.0)]

    def record() -> None:
        threads[-1].ensure_started()
        threads[-1].notify()

    with interrupted(record) as handler:
        while handler.handled < HANDLED:
            record()
            threads[-1].stop()
            threads.append(DrainThread(drain, 0.0))
    threads[-1].stop()
    assert len(threads) > 1


def test_thread_that_drains_itself_does_not_wait_for_itself(sqlite_url: str, tmp_path: Path) -> None:
    config: dict[str, Any] = {"MELODY_LOGS_WRITER": "direct", "MELODY_LOGS_DRAIN_IN_PROCESS": False}
    app, logs = make_host(sqlite_url, tmp_path=tmp_path, **config)
    ids: list[str | None] = []

    def record() -> None:
        ids.append(logs.record_sign_in(identity="ann@example.org", success=True))

    with app.app_context(), interrupted(record, 0.005) as handler:
        while handler.handled < 20:
            record()
    state_of(app).drain.run_once()
    assert sorted(row.event_id for row in read_all(state_of(app).database, "sign-in")) == sorted(map(str, ids))
    close_host(app)
