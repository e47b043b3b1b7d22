"""What logging adds to a login and to a mail, here and by three packages for Django, on the same PostgreSQL."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .children import PROJECT, Child, answering
from .login_host import create_accounts
from .measuring import Bar, Comparison, NotMeasured, Round, Sizes, ratio
from .surroundings import close_host, empty_database, libpq_address, make_host

#: In the folder of build results: Git ignores it, and `make clean` removes it.
ENVIRONMENT = PROJECT / "build" / "benchmark-peers"
REQUIREMENTS = Path(__file__).with_name("peers.txt")
_STAMP = ENVIRONMENT / "installed.txt"
_NETWORK = ("HOME", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "HTTPS_PROXY", "https_proxy")

TURNS = 10
#: How the login of our host comes into the logs.
_WAYS = {"record_sign_in": "called", "watch_sign_in": "on", "bare login": "off"}


@contextmanager
def sign_in_beside_peers(database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Compare what is added to the median of a login through WSGI; a peer's cheaper one of right and wrong counts."""
    names, ours = ("django-easy-audit", "django-axes"), ("record_sign_in", "watch_sign_in")
    times = 50 if sizes.quick else 1000
    with _children(("plain", *names), database_url, folder, sizes, ours=tuple(_WAYS.values())) as children:

        def measure(number: int) -> Round:
            taken = _ask_in_turns(children, ("right", "wrong"), times, number)
            rounds = {"bare login": taken["off", "right"]}
            for side in ours:
                rounds[side] = max(_added(taken, _WAYS[side], "off", call) for call in ("right", "wrong"))
            for name in names:
                rounds[name] = min(_added(taken, name, "plain", call) for call in ("right", "wrong"))
            return rounds

        yield Comparison(
            name="peers-sign-in",
            says="added to a login through WSGI, in process: our dearer one of right and wrong, a peer's cheaper",
            unit="µs",
            measure=measure,
            criteria=[ratio(side, name, Bar("<=", 0.1)) for side in ours for name in names],
        )


@contextmanager
def mail_beside_peers(database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Compare what is added to a mail of 4 KB of HTML: ``record_email`` here, a backend around another one there."""
    name = "django-email-log"
    times = 50 if sizes.quick else 1000
    with _children(("plain", name), database_url, folder, sizes, ours=("on",)) as children:

        def measure(number: int) -> Round:
            taken = _ask_in_turns(children, ("mail",), times, number)
            return {"melody_logs": taken["on", "mail"], name: _added(taken, name, "plain", "mail")}

        yield Comparison(
            name="peers-mail",
            says="added to a mail of 4 KB HTML, in process, median; the peer does not redact",
            unit="µs",
            measure=measure,
            criteria=[ratio("melody_logs", name, Bar("<=", 0.2))],
        )


def _ask_in_turns(
    children: Mapping[str, Child], calls: tuple[str, ...], times: int, number: int
) -> Mapping[tuple[str, str], float]:
    """Ask each child for each call in ten turns, the order changing; give the medians of the turns' medians."""
    taken: dict[tuple[str, str], list[float]] = {(name, call): [] for name in children for call in calls}
    for turn in range(TURNS):
        names = list(children) if (number + turn) % 2 else list(reversed(list(children)))
        for name in names:
            for call in calls:
                taken[name, call].append(children[name].ask(call=call, times=times // TURNS)["median"])
    return {key: statistics.median(medians) for key, medians in taken.items()}


def _added(taken: Mapping[tuple[str, str], float], name: str, without: str, call: str) -> float:
    """Give what a package adds to a call; noise that says nothing, or less, must not make us look good."""
    return max(1.0, taken[name, call] - taken[without, call])


@contextmanager
def _children(
    peers: tuple[str, ...], database_url: str, folder: Path, sizes: Sizes, *, ours: tuple[str, ...]
) -> Iterator[Mapping[str, Child]]:
    python = find_environment(may_install=not sizes.quick)
    address = libpq_address(database_url)
    close_host(make_host(database_url, folder))
    create_accounts(address, "sha256")
    with ExitStack() as stack:
        children = {}
        for logs in ours:
            environment = {
                "BENCHMARK_DATABASE_URL": database_url,
                "BENCHMARK_ADDRESS": address,
                "BENCHMARK_FOLDER": str(folder / logs),
                "BENCHMARK_HASH": "sha256",
                "BENCHMARK_LOGS": logs,
            }
            children[logs] = stack.enter_context(answering("benchmarks.peers_flask", [], folder, logs, environment))
        for name in peers:
            own = libpq_address(stack.enter_context(empty_database(address)))
            environment = {"BENCHMARK_ADDRESS": own}
            child = answering("benchmarks.peers_django", [name], folder, name, environment, python)
            children[name] = stack.enter_context(child)
        yield children


def find_environment(*, may_install: bool) -> Path:
    """Give the Python that has the peers, after making its environment unless it is there.

    :raise NotMeasured: if it is not there and may not, or cannot, be made.
    """
    python = ENVIRONMENT / "bin" / "python"
    if _STAMP.is_file() and _STAMP.read_bytes() == REQUIREMENTS.read_bytes():
        return python
    if not may_install:
        raise NotMeasured("a quick run does not install the peers; a whole run does")
    settings = {name: os.environ[name] for name in ("PATH", *_NETWORK) if name in os.environ}
    make = [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)]
    install = [str(python), "-m", "pip", "install", "-qq", "--no-deps", "-r", str(REQUIREMENTS)]
    for command in (make, install):
        done = subprocess.run(command, env=settings, capture_output=True, text=True)
        if done.returncode:
            raise NotMeasured(f"the peers cannot be installed: {done.stderr[-400:].strip()}")
    _STAMP.write_bytes(REQUIREMENTS.read_bytes())
    return python
