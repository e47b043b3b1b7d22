"""The web process of the demo: waitress on a listening socket that the supervisor holds.

While a killed web process is started again, browsers wait in the socket's queue instead of being refused.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from types import FrameType

import waitress

from .app import create_app
from .lifeline import end_with_supervisor

SOCKET_VARIABLE = "MELODY_DEMO_SOCKET"
THREADS = 8


def main() -> None:
    """Serve the demo host until SIGTERM, or until the supervisor is gone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # It warns of each request that waits a moment for a thread.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, _exit)
    end_with_supervisor()
    listening = socket.socket(fileno=int(os.environ[SOCKET_VARIABLE]))
    waitress.serve(create_app(), sockets=[listening], threads=THREADS, clear_untrusted_proxy_headers=False)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
