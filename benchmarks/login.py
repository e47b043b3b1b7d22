"""A host's login behind gunicorn, with its sign-ins recorded and without."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .http_client import make_post, requests_a_second
from .login_host import PASSWORD, USERS, create_accounts
from .measuring import Bar, Comparison, Sizes, in_turns, ratio
from .samples import USER_AGENT
from .surroundings import close_host, libpq_address, make_host, serving

#: Longer than the drain gathers: what one window recorded is not drained in the next one.
SETTLE_SECONDS = 1.5


@contextmanager
def login_of_a_host(
    algorithm: str, clients: int, worker_class: str, database_url: str, folder: Path, sizes: Sizes
) -> Iterator[Comparison]:
    """Compare the requests a second; *algorithm* hashes the passwords.

    One client asks one worker process, more clients ask two, each with four threads if it is ``gthread``.
    """
    seconds = 0.1 if sizes.quick else 4.0
    settle_seconds = 0.0 if sizes.quick else SETTLE_SECONDS
    address = libpq_address(database_url)
    create_accounts(address, algorithm)
    close_host(make_host(database_url, folder))
    requests = _make_requests()
    options = ["-k", worker_class, "-w", "1" if clients == 1 else "2", "benchmarks.login_host:create_app()"]
    if worker_class == "gthread":
        options[:0] = ["--threads", "4"]
    with ExitStack() as stack:
        ports = {}
        for logs in ("on", "off"):
            environment = {
                "BENCHMARK_DATABASE_URL": database_url,
                "BENCHMARK_ADDRESS": address,
                "BENCHMARK_FOLDER": str(folder / logs),
                "BENCHMARK_HASH": algorithm,
                "BENCHMARK_LOGS": logs,
            }
            ports[logs] = stack.enter_context(serving(folder, f"login-{logs}", options, environment))

        def measure(logs: str) -> float:
            rate = requests_a_second(ports[logs], requests, clients, seconds)
            time.sleep(settle_seconds)
            return rate

        yield Comparison(
            name=f"login-{algorithm}-{clients}-{worker_class}",
            says=f"logins through gunicorn ({worker_class}), {algorithm} hash, {clients} clients: recorded / not",
            unit="requests/s",
            measure=in_turns(on=lambda: measure("on"), off=lambda: measure("off")),
            criteria=[ratio("on", "off", Bar(">=", 0.95))],
        )


def _make_requests() -> list[bytes]:
    choose = random.Random(1)
    users = [f"user{choose.randint(1, USERS)}@example.org" for _ in range(USERS)]
    return [make_post("/login", {"email": user, "password": PASSWORD}, {"User-Agent": USER_AGENT}) for user in users]
