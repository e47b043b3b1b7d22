"""Fork processes that record failed sign-ins without end, and kill each: FOLDER DATABASE_URL KILLS.

Each process drains while it records, and writes the outcome and event id of an attempt to FOLDER/acked once
``record_sign_in`` has returned it.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from flask import Flask

from melody_logs.recording import flood
from melody_logs.state import state_of
from tests.hosts import make_host


def record_for_ever(app: Flask, folder: Path) -> None:
    """Record a few people again and again, strangers beyond the keys, and now and then a success."""
    recorder = state_of(app).recorder
    acked = os.open(folder / "acked", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    number = 0
    with app.app_context():
        while True:
            number += 1
            who = f"stranger{number}" if number % 3 == 0 else f"user{number % 7}"
            fields = {"identity": f"{who}@example.org", "ip": f"8.8.8.{number % 250}", "success": number % 40 == 0}
            outcome = "success" if fields["success"] else "failure"
            os.write(acked, f"{outcome} {recorder.record_sign_in(fields)}\n".encode())


def main() -> None:
    """Kill them one by one, at any moment."""
    folder, url, kills = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    config: dict[str, Any] = {"MELODY_LOGS_WRITER": "spool", "MELODY_LOGS_DRAIN_INTERVAL_SECONDS": 0.01}
    # Reached before the process is killed.
    flood.MOST_KEYS = 20
    app, _ = make_host(url, tmp_path=folder, MELODY_LOGS_FLOOD_WHOLE_PER_MINUTE=3, **config)
    for _ in range(kills):
        process_id = os.fork()
        if process_id == 0:
            record_for_ever(app, folder)
        time.sleep(random.uniform(0.02, 0.4))
        os.kill(process_id, signal.SIGKILL)
        _, status = os.waitpid(process_id, 0)
        assert os.WIFSIGNALED(status), "a process ended by itself"


if __name__ == "__main__":
    main()
