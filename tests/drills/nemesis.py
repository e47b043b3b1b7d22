"""What kills, freezes and restarts while clients record; its random choices are the drill's."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.drills.web_host import WebHost, children_of, kill_at_once
from tests.servers.processes import Process
from tests.servers.server import Server


@dataclass
class Nemesis:
    """Does harm to a host and to the server of its logs; each fault ends with everything running again.

    :param server: the database server; None if the logs lie in a file.
    :param worker: the Celery worker, if one runs.
    """

    random: random.Random
    host: WebHost
    web: Process
    server: Server | None
    worker: Process | None = None
    done: Counter[str] = field(default_factory=Counter)

    def rage(self, faults: int) -> None:
        """Do each kind of harm once, and then any, until there were so many *faults*; pauses lie between them."""
        kinds = self._kinds()
        order = list(kinds)
        self.random.shuffle(order)
        while len(order) < faults:
            order.append(self.random.choice(list(kinds)))
        for name in order[:faults]:
            time.sleep(self.random.uniform(0.1, 1.0))
            kinds[name]()
            self.done[name] += 1

    def _kinds(self) -> dict[str, Callable[[], None]]:
        kinds = {
            "kill -9 web worker": self.kill_web_worker,
            "kill -9 every web process": self.kill_web_server,
            "kill -9 drain": self.kill_drain,
        }
        if self.worker is not None:
            kinds["kill -9 Celery worker"] = self.kill_worker
        if self.server is not None:
            kinds["freeze database"] = self.freeze_database
            kinds["kill -9 database"] = self.kill_database
            kinds["stop database"] = self.stop_database
        return kinds

    def kill_web_worker(self) -> None:
        """Kill one of the processes that serve; gunicorn makes a new one."""
        workers = children_of(self.web.pid)
        if workers:
            kill_at_once(self.random.choice(sorted(workers)))

    def kill_web_server(self) -> None:
        """Kill gunicorn itself and then its workers, which would serve on; start it again."""
        workers = children_of(self.web.pid)
        self.web.kill()
        time.sleep(self.random.uniform(0, 0.3))
        for pid in workers:
            kill_at_once(pid)
        self.host.start_again(self.web)

    def kill_drain(self) -> None:
        """Start the command that drains, and kill it at some moment of its work."""
        drain = self.host.start_drain(self.done.total())
        time.sleep(self.random.uniform(0.6, 2.0))
        drain.kill()

    def kill_worker(self) -> None:
        """Kill the Celery worker and start it again."""
        assert self.worker is not None
        self.worker.kill()
        self.worker.start()

    def freeze_database(self) -> None:
        """Stop the database where it is; it holds every connection and answers none."""
        assert self.server is not None
        self.server.pause()
        time.sleep(self.random.uniform(0.3, 2.5))
        self.server.resume()

    def kill_database(self) -> None:
        """Kill the database and start it again."""
        assert self.server is not None
        self.server.kill()
        time.sleep(self.random.uniform(0, 1.5))
        self.server.start()

    def stop_database(self) -> None:
        """Shut the database down, its clients cut off, and start it again."""
        assert self.server is not None
        self.server.stop()
        time.sleep(self.random.uniform(0, 1.5))
        self.server.start()
