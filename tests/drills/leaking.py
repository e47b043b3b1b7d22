"""A host that records very often by one way and says what it uses: ``python -m tests.drills.leaking FOLDER WAY N``.

It prints a JSON object: memory in KiB, blocks of Python, descriptors and threads, after two fifths as warm-up and at
the end. The caches of SQLite and of the patterns fill slowly.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flask import Flask, request

from melody_logs import MelodyLogs
from melody_logs.state import state_of
from tests.hosts import close_host, make_host

BETWEEN_DRAINS = 500
THREADS = 8
WAYS = ("sign-in", "hook", "mail", "direct")


def main(folder: Path, way: str, count: int) -> None:
    """Record *count* times after two fifths as many, and print what the process used before and after."""
    logs = MelodyLogs()
    logs.watch_sign_in("sign_in", outcome=lambda response: response.status_code < 400)
    writer = "direct" if way == "direct" else "spool"
    app, _ = make_host(f"sqlite:///{folder}/logs.db", tmp_path=folder, logs=logs, MELODY_LOGS_WRITER=writer)
    app.add_url_rule("/sign-in", "sign_in", lambda: ("", int(request.form["status"])), methods=["POST"])
    record = choose(app, logs, way)
    # Who records directly waits for the database; requests wait beside each other.
    with ThreadPoolExecutor(THREADS if way == "direct" else 1) as pool:
        run(app, pool, record, max(count * 2 // 5, 2 * BETWEEN_DRAINS))
        before = measure()
        run(app, pool, record, count)
        after = measure()
    failures = sum(state_of(app).recorder.failures.totals().values())
    rows = state_of(app).drain.state.rows
    close_host(app)
    print(json.dumps({"before": before, "after": after, "failures": failures, "rows": rows}))


def choose(app: Flask, logs: MelodyLogs, way: str) -> Callable[[int], None]:
    """Return a function that records once, by the number of its call; each other sign-in fails.

    Most failures are folded at this rate, so that both kinds of rows are made.
    """
    client = app.test_client()

    def sign_in(number: int) -> None:
        with app.test_request_context("/sign-in", method="POST"):
            logs.record_sign_in(identity=f"p{number % 5000}@example.org", success=number % 2 == 0, ip="81.2.69.142")

    def hook(number: int) -> None:
        client.post("/sign-in", data={"email": f"p{number % 5000}@example.org", "status": 401 if number % 2 else 200})

    def mail(number: int) -> None:
        with app.app_context(), logs.sending_email(receiver=f"p{number % 5000}@example.org", content="Hi " * 50) as one:
            one.sent("250 OK", provider_message_id=str(number))

    return {"sign-in": sign_in, "hook": hook, "mail": mail, "direct": sign_in}[way]


def run(app: Flask, pool: ThreadPoolExecutor, record: Callable[[int], None], count: int) -> None:
    """Record, and let the drain keep up: what waits is no leak."""
    state = state_of(app)
    for first in range(0, count, BETWEEN_DRAINS):
        for _ in pool.map(record, range(first, first + BETWEEN_DRAINS)):
            pass
        state.drain.run_once()


def measure() -> dict[str, int]:
    """Read resident memory (on Linux), blocks that Python holds, open descriptors and threads."""
    gc.collect()
    # What the C library keeps for later, some MiB after a busy moment, is in use by nobody.
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        "blocks": sys.getallocatedblocks(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
