"""Reads the documentation for the tests: pages, links, headings, blocks of code, commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: Every page by its path from the root.
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
}
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_SHELL = re.compile(r"&&|\|\||;|\|")


def page(name: str) -> str:
    """Return a page of docs/."""
    return PAGES[f"docs/{name}"]


def fenced(text: str, language: str) -> list[str]:
    """Return the blocks of code in *language*."""
    return [code for found, code in _FENCE.findall(text) if found == language]


def code_under(name: str, heading: str) -> str:
    """Return the only block of Python under a heading of a page in docs/."""
    section = page(name).split(f"## {heading}\n")[1].split("\n## ")[0]
    (code,) = fenced(section, "python")
    return code


def links_in(text: str) -> list[str]:
    """Return the links and pictures that do not lead to another site."""
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))
    links = re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r'src(?:set)?="([^"]+)"', prose)
    return [link for link in links if "://" not in link]


def targets_of(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands_in(text: str, program: str) -> list[list[str]]:
    """Return the arguments of each command of *program*, in blocks of shell and in code within sentences."""
    lines = [line for block in fenced(text, "sh") for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))
    commands = []
    for line in lines:
        for part in _SHELL.split(re.sub(r"\s# .*", "", line)):
            words = part.strip()
            if words.startswith(f"{program} "):
                commands.append(shlex.split(words.removeprefix(program)))
    return commands


def options_of_address(name: str, scheme: str, authority: Path) -> str:
    """Return the options of the address in a page's shell code, with the file of an *authority* in place of its own."""
    lines = [line for code in fenced(page(name), "sh") for line in code.splitlines() if f"='{scheme}://" in line]
    assert len(lines) == 1, lines
    options, certificate, _ = lines[0].partition("?")[2].partition("/etc/ssl/")
    assert certificate, "the address names the certificates that are trusted"
    return options + str(authority)
