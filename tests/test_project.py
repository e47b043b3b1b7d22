"""House rules that a machine can check: sizes, leftovers, addresses, and a lock that installs what is declared."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
CODE = ("melody_logs", "worker", "migrations", "benchmarks", "scripts")
LONGEST_FILE = 300
LONGEST_TEST_FILE = 500
LONGEST_FUNCTION = 40
LONGEST_TEMPLATE = 80
TEXT_ENDINGS = {".py", ".html", ".css", ".md", ".toml", ".yml", ".yaml", ".ini", ".mako", ".sh", ".txt", ""}
GENERATED = {
    ".git",
    ".venv",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "build",
    "dist",
    ".demo",
    "__pycache__",
}
# In pieces, so that this file does not find itself.
LEFTOVER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.}-])/(?:" + "|".join(["roo" + "t", "wor" + "k", r"hom" + r"e/\w+"]) + r")/")


def python_files(*folders: str) -> Iterator[Path]:
    """Yield the Python files of the project's folders."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def text_files() -> Iterator[Path]:
    """Yield every text file that a person of the project wrote or reads."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if GENERATED & set(parts) or any(part.endswith(".egg-info") for part in parts) or not path.is_file():
            continue
        if path.suffix in TEXT_ENDINGS:
            yield path


def line_count(path: Path) -> int:
    """Return the number of lines of a text file."""
    return len(path.read_text().splitlines())


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function without its docstring."""
    first = function.body[0]
    is_docstring = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if is_docstring else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def lock_lines() -> list[str]:
    """Return the lines of the lock without comments."""
    lines = (ROOT / "requirements" / "lock.txt").read_text().splitlines()
    return [line for line in lines if not line.lstrip().startswith("#")]


def canonical(requirement: str) -> str:
    """Return the name of a requirement in the one spelling of the packaging standard (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()


def test_no_file_is_long() -> None:
    limits = [*((path, LONGEST_FILE) for path in python_files(*CODE))]
    limits += [(path, LONGEST_TEST_FILE) for path in python_files("tests")]
    long = [f"{path}: {line_count(path)} lines" for path, limit in limits if line_count(path) > limit]
    assert not long, "\n".join(long)


def test_no_function_is_long() -> None:
    """Docstrings do not count: saying more about a function is never a reason to split it."""
    long = []
    for path in python_files(*CODE, "tests"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and body_lines(node) > LONGEST_FUNCTION:
                long.append(f"{path}:{node.lineno} {node.name} has {body_lines(node)} lines")
    assert not long, "\n".join(long)


def test_no_template_is_long() -> None:
    templates = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "melody_logs").rglob("*.html")]
    assert [path for path in templates if line_count(path) > LONGEST_TEMPLATE] == []


def test_no_file_name_says_nothing() -> None:
    assert [path for path in python_files(*CODE, "tests") if path.stem in {"utils", "helpers", "common"}] == []


def test_no_leftover_and_no_path_of_one_machine() -> None:
    found = []
    for path in text_files():
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if LEFTOVER.search(line) or MACHINE_PATH.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found, "\n".join(found)


def test_lock_is_exact_and_hashed() -> None:
    """Every package stands with one version and at least one hash, so that what was tested is what gets installed."""
    entries = re.split(r"\n(?=\S)", "\n".join(lock_lines()))
    wrong = [entry.split()[0] for entry in entries if "==" not in entry.split()[0] or "--hash=sha256:" not in entry]
    assert wrong == []


def test_lock_names_no_registry() -> None:
    """Where packages come from is the machine's setting, not the project's."""
    assert [line for line in lock_lines() if "://" in line or line.startswith("-") or " @ " in line] == []


def test_lock_covers_every_declared_requirement() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [
        pyproject["build-system"]["requires"],
        pyproject["project"]["dependencies"],
        *pyproject["project"]["optional-dependencies"].values(),
        *pyproject["dependency-groups"].values(),
    ]
    declared = {canonical(requirement) for group in groups for requirement in group}
    locked = {canonical(line) for line in lock_lines() if not line.startswith(" ")}
    assert declared - locked == set()
