"""Runs the benchmarks: a JSON line each to standard output, then expected against measured to standard error."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import psycopg
from rich.console import Console

from .api_page import first_page_of_the_api
from .counting import work_in_a_request
from .draining import draining_a_spool
from .footprint import footprint_of_a_process
from .locating import locating_a_backlog
from .locating_by_celery import locating_through_celery
from .login import login_of_a_host
from .measuring import Comparison, NotMeasured, Result, Sizes
from .peers import mail_beside_peers, sign_in_beside_peers
from .plotting import make_table, write_plot
from .recording import recording_a_mail, recording_a_sign_in
from .showing import show_results
from .surroundings import describe_machine, empty_database, stock_postgresql
from .trouble import TROUBLES, recording_in_trouble

Benchmark = Callable[[str, Path, Sizes], AbstractContextManager[Comparison]]
BENCHMARKS: dict[str, Benchmark] = {
    **{
        f"login-{algorithm}-{clients}-{worker_class}": partial(login_of_a_host, algorithm, clients, worker_class)
        for algorithm in ("scrypt", "sha256")
        for clients in (1, 8)
        for worker_class in ("sync", "gthread")
    },
    "record-sign-in": recording_a_sign_in,
    "peers-sign-in": sign_in_beside_peers,
    "record-mail": recording_a_mail,
    "peers-mail": mail_beside_peers,
    **{
        f"{trouble}-{kind}": partial(recording_in_trouble, trouble, kind)
        for trouble in TROUBLES
        for kind in ("sign-in", "mail")
    },
    "request-work": work_in_a_request,
    "drain": draining_a_spool,
    "locate": locating_a_backlog,
    "locate-celery": locating_through_celery,
    "footprint": footprint_of_a_process,
    "api-page": first_page_of_the_api,
}
FEWEST_ROUNDS = 3
WIDTH = 160


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the command line asks for, or draw what an earlier run found.

    :return: 0 if they ran, whatever they measured; 1 if there is no PostgreSQL.
    """
    options = _read_options(arguments)
    if options.plot:
        write_plot(*options.plot)
        print(make_table(options.plot[0]))
        return 0
    sizes = Sizes(rows=options.rows, quick=options.quick, rounds=options.rounds)
    # A table in a file or a pipe need not fit a screen.
    console = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH)
    try:
        with stock_postgresql() as server:
            address = server.url(driver="")
            machine = describe_machine(_server_version(address))
            results = [_run(name, address, sizes, console, options.output) for name in options.only or BENCHMARKS]
    except NotMeasured as error:
        console.print(f"[red]{error}")
        return 1
    show_results(results, machine, console)
    return 0


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=tuple(BENCHMARKS), help="run this one; may be repeated")
    parser.add_argument("--rows", type=_positive, help="rows of api-page, drain and locate instead of each one's own")
    parser.add_argument("--rounds", type=_rounds, default=5, help=f"at least {FEWEST_ROUNDS}; default 5")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that they run, not how fast")
    parser.add_argument("--output", type=Path, help="a file that the JSON lines are added to as well")
    plot = "measure nothing: draw the JSON lines of a file as SVG, and print them as a table in Markdown"
    parser.add_argument("--plot", type=Path, nargs=2, metavar=("LINES", "SVG"), help=plot)
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows; accepted: 1 and more")
    return int(text)


def _rounds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < FEWEST_ROUNDS:
        raise argparse.ArgumentTypeError(f"{text!r} is too few or no number; accepted: {FEWEST_ROUNDS} and more")
    return int(text)


def _run(name: str, address: str, sizes: Sizes, console: Console, output: Path | None) -> Result:
    try:
        with (
            console.status(f"measuring {name} …"),
            empty_database(address) as database_url,
            tempfile.TemporaryDirectory(prefix="melody-logs-benchmark-") as folder,
            BENCHMARKS[name](database_url, Path(folder), sizes) as comparison,
        ):
            result = comparison.run(sizes.rounds)
    except NotMeasured as error:
        result = Result(name, "", 0, "", {}, notes=[f"not measured: {error}"])
    line = json.dumps(result.to_json(), ensure_ascii=False)
    print(line, flush=True)
    if output is not None:
        with output.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    return result


def _server_version(address: str) -> str:
    with psycopg.connect(address) as connection:
        number = connection.info.server_version
    return f"{number // 10_000}.{number % 10_000}"


if __name__ == "__main__":
    sys.exit(main())
