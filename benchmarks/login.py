"""A host's login behind gunicorn, with its sign-ins recorded and without."""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from .login_host import PASSWORD, USERS, create_accounts
from .measuring import Bar, Comparison, Sizes
from .samples import USER_AGENT
from .surroundings import close_host, libpq_address, make_host, serving

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": USER_AGENT}
#: Longer than the drain gathers: what one window recorded is not drained in the next one.
SETTLE_SECONDS = 0.6


@contextmanager
def login_of_a_host(algorithm: str, database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Compare the requests a second of one sync worker and one client; *algorithm* hashes the passwords."""
    seconds = 0.1 if sizes.quick else 4.0
    settle_seconds = 0.0 if sizes.quick else SETTLE_SECONDS
    address = libpq_address(database_url)
    create_accounts(address, algorithm)
    close_host(make_host(database_url, folder))
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
            options = ["-k", "sync", "benchmarks.login_host:create_app()"]
            ports[logs] = stack.enter_context(serving(folder, f"login-{logs}", options, environment))
        yield Comparison(
            name=f"login-{algorithm}",
            says=f"logins a second through gunicorn (sync), {algorithm} hash: sign-ins recorded / not",
            bar=Bar(">=", 0.95),
            unit="requests/s",
            ours=partial(_requests_a_second, ports["on"], seconds, settle_seconds),
            bare=partial(_requests_a_second, ports["off"], seconds, settle_seconds),
        )


def _log_in(port: int, user: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        form = urlencode({"email": f"user{user}@example.org", "password": PASSWORD})
        connection.request("POST", "/login", form, _HEADERS)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def _requests_a_second(port: int, seconds: float, settle_seconds: float) -> float:
    choose = random.Random(1)
    done = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        status = _log_in(port, choose.randint(1, USERS))
        if status != 200:
            raise RuntimeError(f"a login of the benchmark was answered with {status}")
        done += 1
    taken = time.perf_counter() - start
    time.sleep(settle_seconds)
    return done / taken
