"""What the worker and beat processes do at their start, beside Celery's own."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

from celery import signals
from flask import Flask

from melody_logs.state import state_of
from melody_logs.storage.progress import note_heartbeat

logger = logging.getLogger("melody_logs")

HEARTBEAT_SECONDS = 30.0
STALE_MESSAGE_SECONDS = 60.0


def connect_process_events(host: Flask, embedded_messages: Path | None) -> None:
    """Tidy the embedded broker when a worker starts, and let worker and beat say that they live.

    :param embedded_messages: the folder of the embedded broker's messages; None with another broker.
    """

    def on_worker_start(**facts: Any) -> None:
        if embedded_messages is not None:
            drop_stale_messages(embedded_messages)

    def on_beat_start(sender: Any = None, **facts: Any) -> None:
        threading.Thread(target=_note_beat, args=(host, sender), name="melody-beat", daemon=True).start()

    def on_worker_ready(**facts: Any) -> None:
        # The first tick of the task comes only after half a minute.
        _write_heartbeat(host, "worker")

    signals.worker_init.connect(on_worker_start, weak=False)
    signals.worker_ready.connect(on_worker_ready, weak=False)
    signals.beat_init.connect(on_beat_start, weak=False)


def drop_stale_messages(folder: Path) -> int:
    """Delete the messages of the embedded broker that are older than a minute; return how many.

    They are ticks that came while no worker ran, all expired; reading them one by one would take the worker minutes.
    """
    oldest = time.time() - STALE_MESSAGE_SECONDS
    dropped = 0
    for path in folder.glob("*.msg"):
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
                dropped += 1
        except FileNotFoundError:
            continue  # another worker was faster
    return dropped


def _note_beat(host: Flask, beat: Any) -> None:
    """Write the sign of life ``beat`` for as long as the scheduler ticks, also while no worker does it."""
    while True:
        last_tick = max((entry.last_run_at.timestamp() for entry in beat.scheduler.schedule.values()), default=0.0)
        if time.time() - last_tick < 2 * HEARTBEAT_SECONDS:
            _write_heartbeat(host, "beat")
        time.sleep(HEARTBEAT_SECONDS)


def _write_heartbeat(host: Flask, name: str) -> None:
    database = state_of(host).database
    try:
        with database.transaction() as connection:
            note_heartbeat(connection, name, database.now(connection))
    except Exception as error:
        logger.warning("the sign of life of the %s could not be written: %s", name, error)
