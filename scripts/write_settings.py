"""Write the table of docs/settings.md from the settings themselves: ``python scripts/write_settings.py``."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "settings.md"
BEGIN = "<!-- The table is written by scripts/write_settings.py -->"
END = "<!-- end of the table -->"


def main() -> None:
    """Renew the table where it stands."""
    PAGE.write_text(renew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def renew(page: str) -> str:
    """Return *page* with the table of the settings as they are now.

    :raise ValueError: if the two lines between which it stands are not there.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f'"{PAGE.name}" has no lines {BEGIN!r} and {END!r} for the table to stand between')
    return f"{before}{BEGIN}\n\n{make_table()}\n{END}{after}"


def make_table() -> str:
    """Make the table: key, default, what is accepted, what it does."""
    from melody_logs.settings import Settings, describe

    accepted = [_accepted(field.metadata["parse"]) for field in dataclasses.fields(Settings)]
    lines = ["| key | default | accepted | what it does |", "|---|---|---|---|"]
    for (name, default, unit, text), values in zip(describe(), accepted, strict=True):
        lines.append(f"| `{name}` | {_show(default, unit)} | {_escape(values)} | {_escape(text)} |")
    return "\n".join(lines) + "\n"


def _show(default: Any, unit: str) -> str:
    if default in (None, ()):
        return ""
    return f"`{default}`" + (f" {unit}" if unit else "")


def _accepted(parse: Any) -> str:
    """Ask the parser, by handing it something that no setting accepts."""
    try:
        parse(b"\0")
    except ValueError as error:
        return str(error)
    raise ValueError(f"{parse!r} accepts anything")


def _escape(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
