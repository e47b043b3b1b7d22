"""Fork processes that append and drain without end, and kill each with SIGKILL: FOLDER DATABASE_URL KILLS.

Each process writes the mark of an entry to FOLDER/acked once ``append`` has returned.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from melody_logs.recording.drain import Drain
from melody_logs.recording.drain_thread import DrainThread
from melody_logs.recording.spool import Spool
from tests.recording.spool_rows import make_body, make_database


def append_for_ever(folder: Path, url: str, name: int) -> None:
    """Append, acknowledge, and let the thread drain."""
    database = make_database(url, tables=False)
    spool = Spool(folder / "spool", destination=database.fingerprint)
    drain_thread = DrainThread(Drain(spool, database), 0.01)
    acked = os.open(folder / "acked", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    number = 0
    while True:
        number += 1
        mark = f"{name}-{number}"
        assert spool.append("sms", make_body(mark)) is not None
        os.write(acked, f"{mark}\n".encode())
        drain_thread.ensure_started()
        drain_thread.notify()
        time.sleep(0.0002)


def main() -> None:
    """Kill them one by one, at any moment."""
    folder, url, kills = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    for name in range(kills):
        process_id = os.fork()
        if process_id == 0:
            append_for_ever(folder, url, name)
        time.sleep(random.uniform(0.02, 0.3))
        os.kill(process_id, signal.SIGKILL)
        _, status = os.waitpid(process_id, 0)
        assert os.WIFSIGNALED(status), "a process ended by itself"


if __name__ == "__main__":
    main()
