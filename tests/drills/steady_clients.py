"""Clients that sign in at a steady rate, whatever the host answers."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.drills.history_client import FORM

THREADS = 5


@dataclass
class SteadyClients:
    """Ask the host of the drills on *port* to record one attempt a request."""

    port: int
    requests_a_second: float
    asked: int = 0
    answered: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def run_for(self, seconds: float) -> None:
        """Ask for so long, and wait for every answer."""
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._ask_until, args=(name, end)) for name in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _ask_until(self, name: int, end: float) -> None:
        pause = THREADS / self.requests_a_second
        due = time.monotonic()
        number = 0
        while due < end:
            number += 1
            good = self._ask(f"steady{name}-{number}")
            with self._lock:
                self.asked += 1
                self.answered += good
            due += pause
            time.sleep(max(0.0, due - time.monotonic()))

    def _ask(self, name: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/attempts", urlencode({"name": name, "count": 1}), FORM)
            answer = connection.getresponse()
            answer.read()
            return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
