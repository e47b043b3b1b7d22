"""A pipe from the supervisor to each child, so that no child outlives it."""

from __future__ import annotations

import os
import signal
import threading
import time

#: The number of the pipe's reading end; the worker and beat of melody_logs watch the same variable.
LIFELINE_VARIABLE = "MELODY_WORKER_LIFELINE"
GRACE_SECONDS = 2.0


def end_with_supervisor() -> None:
    """End this process when the supervisor is gone, even by kill -9."""
    threading.Thread(
        target=_wait, args=(int(os.environ[LIFELINE_VARIABLE]),), name="demo-lifeline", daemon=True
    ).start()


def _wait(descriptor: int) -> None:
    os.read(descriptor, 1)  # nobody writes: this returns when the supervisor's end is closed
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
