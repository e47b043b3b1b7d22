"""Who may import whom: each file imports only from the rows above its own, and inside its own room.

The rows are those of docs/architecture.md; an import inside a function counts like any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "melody_logs"
# Rows from the bottom up; a row holds rooms; a room is a folder of melody_logs or a few files beside each other.
ROWS: list[list[set[str]]] = [
    [{"errors", "log_unavailable", "signals", "resources", "vocabulary"}],
    [{"settings", "setting_types", "secret_keys"}],
    [{"storage"}, {"geolocation"}],
    [{"recording"}, {"clients"}],
    [{"state", "health", "host_layout", "troubles"}, {"jobs"}],
    [{"tasks"}, {"integrations"}],
    [{"admin"}, {"api"}, {"cli"}, {"monitoring"}, {"deliveries"}],
    [{"extension", "__init__"}],
    [{"demo"}, {"testing"}],
]
STORAGE_ROW = 2
# The demo is a host: it sees what every host sees.
DEMO_MAY_IMPORT = {"__init__", "signals", "demo"}
# `melody-logs demo` starts the demo, and only then: the import stands inside the command.
ALLOWED = {("cli/program.py", "demo")}


def violations(file: str, source: str) -> list[str]:
    """Return one sentence for each import of ``source`` that its place, ``file`` below melody_logs/, does not allow."""
    own_row, own_room = place(room_name(file))
    found = []
    for target in sorted(imported_rooms(file, source)):
        if target in own_room or (file, target) in ALLOWED:
            continue
        if target == "worker":
            found.append(f"{file} imports the worker, which nothing may import")
            continue
        row, _ = place(target)
        if row >= own_row:
            found.append(f"{file} (row {own_row}) imports {target} (row {row})")
        elif own_room == {"demo"} and target not in DEMO_MAY_IMPORT:
            found.append(f"{file} imports {target}, but the demo uses only what melody_logs gives to hosts")
    return found


def place(name: str) -> tuple[int, set[str]]:
    """Return the row and the room of a name; raise AssertionError for a name that has no row."""
    for number, row in enumerate(ROWS):
        for room in row:
            if name in room:
                return number, room
    raise AssertionError(
        f"melody_logs/{name} has no row; give it one in {Path(__file__).name} and docs/architecture.md"
    )


def room_name(file: str) -> str:
    """Return the folder, or for a file directly in melody_logs/ its name without the ending."""
    return file.split("/")[0].removesuffix(".py")


def imported_rooms(file: str, source: str) -> set[str]:
    """Return the names below melody_logs that the source imports; ``__init__`` stands for its public names."""
    return {name for module in imported_modules(file, source) if (name := name_below_package(module)) is not None}


def imported_modules(file: str, source: str) -> Iterator[str]:
    """Yield the full name of each imported module; for ``from package import name`` also of the name."""
    package = [PACKAGE, *Path(file).parent.parts]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def name_below_package(module: str) -> str | None:
    """Return the part after ``melody_logs.``, ``__init__`` when that is no module, None for other packages."""
    head, *rest = module.split(".")
    if head == "worker":
        return "worker"
    if head != PACKAGE:
        return None
    folder = ROOT / PACKAGE
    if rest and (rest[0] == "worker" or (folder / rest[0]).is_dir() or (folder / f"{rest[0]}.py").is_file()):
        return rest[0]
    return "__init__"


def package_files() -> list[str]:
    """Return every Python file of melody_logs, below that folder."""
    folder = ROOT / PACKAGE
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))


def test_every_file_imports_only_from_rows_above() -> None:
    found = [line for file in package_files() for line in violations(file, (ROOT / PACKAGE / file).read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", ["migrations", "benchmarks"])
def test_nothing_beside_the_package_imports_the_worker(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert "worker" not in imported_rooms(path.name, path.read_text()), path


def test_migrations_know_nothing_above_storage() -> None:
    """A migration that imports the recorder or a page would break when those change."""
    for path in (ROOT / "migrations").rglob("*.py"):
        for target in imported_rooms(path.name, path.read_text()):
            assert place(target)[0] <= STORAGE_ROW, f"{path} imports {target}"


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("storage/writer.py", "from ..recording import spool"),
        ("storage/writer.py", "from ..geolocation.locate import locate"),
        ("admin/emails.py", "def view():\n    from melody_logs.api import cursors"),
        ("admin/emails.py", "from .. import MelodyLogs"),
        ("settings.py", "import melody_logs.storage.models"),
        ("tasks.py", "from melody_logs.worker import celery_app"),
        ("tasks.py", "import worker"),
        ("demo/host.py", "from ..storage.models import Base"),
    ],
)
def test_an_import_from_the_wrong_place_is_found(file: str, source: str) -> None:
    assert len(violations(file, source)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("storage/writer.py", "from ..vocabulary import Kind\nfrom .models import Base\nfrom . import models"),
        ("settings.py", "from . import setting_types"),
        ("demo/host.py", "from melody_logs import MelodyLogs\nfrom melody_logs.signals import email_sent"),
        ("extension.py", "from . import admin, api"),
    ],
)
def test_an_import_from_the_right_place_is_allowed(file: str, source: str) -> None:
    assert violations(file, source) == []
