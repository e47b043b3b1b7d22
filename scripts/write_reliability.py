"""Write the table of docs/reliability.md from the figures of drills: ``python scripts/write_reliability.py FILE...``.

Each FILE is what ``make drills ARGS="--drills-output FILE"`` wrote, on this machine; a drill that stands in several is
taken from the last one.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- The table is written by scripts/write_reliability.py -->"
END = "<!-- end of the table -->"

Figure = dict[str, Any]


def main(files: Sequence[str]) -> None:
    """Renew the table where it stands."""
    figures = read_figures(Path(file).read_text(encoding="utf-8") for file in files)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(renew(page, figures, describe_run()), encoding="utf-8")


def read_figures(texts: Iterable[str]) -> list[Figure]:
    """Read the figures of several runs, those of a later run instead of an earlier one's, sorted by drill."""
    by_drill: dict[str, list[Figure]] = {}
    for text in texts:
        run: dict[str, list[Figure]] = {}
        for line in text.splitlines():
            figure = json.loads(line)
            run.setdefault(figure["drill"], []).append(figure)
        by_drill |= run
    return [figure for drill in sorted(by_drill, key=_number_of) for figure in by_drill[drill]]


def renew(page: str, figures: Sequence[Figure], run: str) -> str:
    """Return *page* with the table of *figures* and, below it, the *run* they come from.

    :raise ValueError: if the two lines between which it stands are not there.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f'"{PAGE.name}" has no lines {BEGIN!r} and {END!r} for the table to stand between')
    named = name_seeds(figures)
    return f"{before}{BEGIN}\n\n{make_table(figures)}\n{run}, {named}.\n\n{END}{after}"


def name_seeds(figures: Sequence[Figure]) -> str:
    """Name the seed that most figures have, and the drills with another one."""
    usual = Counter(figure["seed"] for figure in figures).most_common(1)[0][0]
    others = {figure["drill"]: figure["seed"] for figure in figures if figure["seed"] != usual}
    return ", ".join([f"seed {usual}", *(f"for {drill} {seed}" for drill, seed in others.items())])


def make_table(figures: Sequence[Figure]) -> str:
    """Make the table: drill, what, expected, measured, and whether it held."""
    lines = ["| drill | what | expected | measured | |", "|---|---|---|---|---|"]
    for figure in figures:
        cells = [_escape(figure[name]) for name in ("drill", "what", "expected", "measured")]
        lines.append(f"| {' | '.join(cells)} | {'held' if figure['held'] else '**not held**'} |")
    return "\n".join(lines) + "\n"


def describe_run() -> str:
    """Name the day and the machine."""
    from benchmarks.surroundings import describe_machine

    server = _version_of_postgresql()
    return f"Measured on {datetime.now(UTC):%Y-%m-%d}: {describe_machine(server).rstrip('.')}"


def _version_of_postgresql() -> str | None:
    import subprocess

    from tests.servers.binaries import postgresql_binaries

    found = postgresql_binaries()
    if not found:
        return None
    said = subprocess.run([found[0].path, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"\d+\.\d+", said)
    return version[0] if version else None


def _number_of(drill: str) -> tuple[int, str]:
    digits = re.search(r"\d+", drill)
    return int(digits[0]) if digits else 0, drill


def _escape(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(sys.argv[1:])
