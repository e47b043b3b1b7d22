"""A pipe to the parent: when the parent is gone, even by kill -9, the process ends itself and its children."""

from __future__ import annotations

import os
import signal
import threading
import time

GRACE_SECONDS = 2.0


def watch_lifeline(descriptor: int) -> None:
    """End this process soon after the other end of the pipe *descriptor* closes.

    It is asked to stop by SIGTERM and killed two seconds later. If it leads a process group, the whole group is killed:
    the children of a prefork worker are in it.
    """
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_wait_for_end, args=(descriptor,), name="melody-lifeline", daemon=True).start()


def _wait_for_end(descriptor: int) -> None:
    while os.read(descriptor, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
