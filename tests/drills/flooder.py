"""A process of a host under attack: ``python -m tests.drills.flooder FOLDER URL SEED FAILURES ADDRESSES SECONDS``.

It records calmly first, then the attack, and prints a JSON object: how many failures had no event id, the event ids of
its successes, how many entries were lost, how many seconds the attack took, and how many milliseconds the calls took.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from tests.hosts import close_host, make_host

CALM_CALLS = 400
ACCOUNTS = 1_000
FAILURES_A_SUCCESS = 500
Record = Callable[..., str | None]


def main(folder: Path, url: str, dice: random.Random, failures: int, addresses: int, seconds: float) -> None:
    """Record, and say what was recorded."""
    app, logs = make_host(tmp_path=folder, MELODY_LOGS_DATABASE_URI=url)
    report: dict[str, Any] = {"unrecorded": 0, "successes": []}
    calm, flood = list[float](), list[float]()

    def record(durations: list[float], **fields: Any) -> str | None:
        started = time.perf_counter()
        event_id = logs.record_sign_in(**fields)
        durations.append((time.perf_counter() - started) * 1000)
        return event_id

    with app.app_context():
        for number in range(CALM_CALLS):
            record(calm, identity=f"calm{number}@example.org", ip="9.9.9.9", success=True)
            time.sleep(0.001)
        begin = time.monotonic()
        for number in range(failures):
            time.sleep(max(0.0, begin + seconds * number / failures - time.monotonic()))
            fields = make_attempt(dice, addresses)
            report["unrecorded"] += record(flood, **fields, success=False, reason="wrong_password") is None
            if number % FAILURES_A_SUCCESS == 0:
                report["successes"].append(record(flood, **fields, success=True, user_id=number))
    report["seconds"] = time.monotonic() - begin
    state = close_host(app)
    report["lost"] = sum(state.recorder.failures.totals().values()) + sum(state.spool.losses.totals().values())
    report |= {"calm": median(calm), "median": median(flood), "p99": quantiles(flood, n=100)[98]}
    print(json.dumps(report))


def make_attempt(dice: random.Random, addresses: int) -> dict[str, Any]:
    """Choose an account and one of the addresses, which lie in networks of 250."""
    network, place = divmod(dice.randrange(addresses), 250)
    identity = f"user{dice.randrange(ACCOUNTS)}@example.org"
    return {"identity": identity, "ip": f"8.8.{network}.{place}", "user_agent": f"Tool/{dice.randrange(7)}"}


if __name__ == "__main__":
    folder, url, seed, failures, addresses, seconds = sys.argv[1:]
    main(Path(folder), url, random.Random(int(seed)), int(failures), int(addresses), float(seconds))
