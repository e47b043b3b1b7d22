"""Page 1 of the sign-in log with its count, through the API, against a bare Flask view on the same table."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from melody_logs.clients.registry import create_client
from melody_logs.clients.tokens import TokenAuthority
from melody_logs.state import State, state_of

from .api_hosts import PATH
from .measuring import Bar, Comparison, Sizes, in_turns, ratio
from .samples import seed_sign_ins
from .surroundings import close_host, libpq_address, make_host, serving

QUERY = "?page_size=10&page_number=1"
_OPTIONS = ("-w", "1", "-k", "gthread", "--threads", "4", "--keep-alive", "600")


@contextmanager
def first_page_of_the_api(database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Compare the time of a request through gunicorn (gthread) of one client that keeps its connection.

    :raise RuntimeError: if the two do not answer the same JSON.
    """
    rows = sizes.choose(1_000_000, 2000)
    calls = 30 if sizes.quick else 500
    app = make_host(database_url, folder)
    seed_sign_ins(state_of(app).database, rows, located=True)
    token, key = _issue_token(state_of(app))
    close_host(app)
    environment = {
        "BENCHMARK_DATABASE_URL": database_url,
        "BENCHMARK_ADDRESS": libpq_address(database_url),
        "BENCHMARK_FOLDER": str(folder),
        "BENCHMARK_KEY": key,
    }
    with ExitStack() as stack:
        clients = []
        for name in ("ours", "bare"):
            options = [*_OPTIONS, f"benchmarks.api_hosts:create_{name}()"]
            port = stack.enter_context(serving(folder, f"api-{name}", options, environment))
            clients.append(Client(port, token))
            stack.callback(clients[-1].close)
        ours, bare = clients
        if json.loads(ours.get()) != json.loads(bare.get()):
            raise RuntimeError("the API and the bare view of the benchmark do not answer the same")
        yield Comparison(
            name="api-page",
            says=f"page 1 with its count of {rows:,} rows / bare Flask view with token check, no count",
            unit="µs",
            measure=in_turns(
                ours=partial(ours.median_microseconds, calls),
                bare=partial(bare.median_microseconds, calls),
            ),
            criteria=[ratio("ours", "bare", Bar("<=", 2))],
        )


class Client:
    """Asks one server for page 1, on one connection."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self) -> bytes:
        """Read the page.

        :raise RuntimeError: for an answer that is none.
        """
        self._connection.request("GET", PATH + QUERY, headers=self._headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"a page of the benchmark was answered with {response.status}: {body[:200]!r}")
        return body

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def median_microseconds(self, calls: int) -> float:
        """Time some requests, from the first byte sent to the last byte read."""
        taken = []
        for _ in range(calls):
            start = time.perf_counter()
            self.get()
            taken.append(time.perf_counter() - start)
        return statistics.median(taken) * 1e6


def _issue_token(state: State) -> tuple[str, str]:
    """Issue a token for the whole run, and give the public key that verifies it, as JSON."""
    client = create_client(state.database, "benchmark", ["read_log"])
    audience = state.settings.api_prefix
    authority = TokenAuthority(state.database, state.derive_key, audience=audience, lifetime_seconds=86_400)
    token = authority.issue_token(client.client_id, "read_log").access_token
    return token, json.dumps(authority.keys.signing_key().as_dict(private=False))
