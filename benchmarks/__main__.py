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
from rich.table import Table

from .api_page import first_page_of_the_api
from .draining import draining_a_spool
from .locating import locating_a_backlog
from .login import login_of_a_host
from .measuring import Comparison, Result, Sizes
from .recording import recording_a_sign_in
from .surroundings import NoServerError, describe_machine, empty_database, stock_postgresql

Benchmark = Callable[[str, Path, Sizes], AbstractContextManager[Comparison]]
BENCHMARKS: dict[str, Benchmark] = {
    "record-sign-in": recording_a_sign_in,
    "login-scrypt": partial(login_of_a_host, "scrypt"),
    "login-sha256": partial(login_of_a_host, "sha256"),
    "api-page": first_page_of_the_api,
    "drain": draining_a_spool,
    "locate": locating_a_backlog,
}
FEWEST_ROUNDS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the command line asks for.

    :return: 0 if they ran, whatever they measured; 1 if there is no PostgreSQL.
    """
    options = _read_options(arguments)
    sizes = Sizes(rows=options.rows, quick=options.quick, rounds=options.rounds)
    console = Console(stderr=True)
    try:
        with stock_postgresql() as address:
            results = [_run(name, address, sizes, console) for name in options.only or BENCHMARKS]
            machine = describe_machine(_server_version(address))
    except NoServerError as error:
        console.print(f"[red]{error}")
        return 1
    _show(results, machine, console)
    return 0


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=tuple(BENCHMARKS), help="run this one; may be repeated")
    parser.add_argument("--rows", type=_positive, help="rows of api-page, drain and locate instead of each one's own")
    parser.add_argument("--rounds", type=_rounds, default=5, help=f"at least {FEWEST_ROUNDS}; default 5")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that they run, not how fast")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows; accepted: 1 and more")
    return int(text)


def _rounds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < FEWEST_ROUNDS:
        raise argparse.ArgumentTypeError(f"{text!r} is too few or no number; accepted: {FEWEST_ROUNDS} and more")
    return int(text)


def _run(name: str, address: str, sizes: Sizes, console: Console) -> Result:
    with (
        console.status(f"measuring {name} …"),
        empty_database(address) as database_url,
        tempfile.TemporaryDirectory(prefix="melody-logs-benchmark-") as folder,
        BENCHMARKS[name](database_url, Path(folder), sizes) as comparison,
    ):
        result = comparison.run(sizes.rounds)
    print(json.dumps(result.to_json(), ensure_ascii=False), flush=True)
    return result


def _server_version(address: str) -> str:
    with psycopg.connect(address) as connection:
        number = connection.info.server_version
    return f"{number // 10_000}.{number % 10_000}"


def _show(results: Sequence[Result], machine: str, console: Console) -> None:
    table = Table(title="Expected against measured", caption=machine, title_justify="left", caption_justify="left")
    table.add_column("benchmark", no_wrap=True)
    for heading in ("ours", "bare", "unit", "expected", "measured"):
        table.add_column(heading, justify="left" if heading == "unit" else "right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for result in results:
        numbers = [f"{result.medians[side]:,.1f}" for side in ("ours", "bare")]
        met = "[green]met" if result.met else "[red]not met"
        table.add_row(result.name, *numbers, result.unit, str(result.bar), f"{result.ratio:.2f}", met)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
