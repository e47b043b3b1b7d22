"""What is installed: the wheel holds all of melody_logs, and works far from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("melody_logs", "migrations", "templates", "worker")
# The folders that a wheel carries under another name than the checkout.
MOVED = {"melody_logs.migrations": "migrations", "melody_logs.templates": "templates", "melody_logs.worker": "worker"}

PROBE = """
import importlib.util, json, melody_logs
from melody_logs import resources
print(json.dumps({
    "package": melody_logs.__file__,
    "templates": str(resources.TEMPLATES),
    "migrations": str(resources.MIGRATIONS),
    "static": str(resources.STATIC),
    "worker": importlib.util.find_spec("melody_logs.worker").origin,
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build in the checkout would leave its folders there and reuse their old files."""
    copy = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
    target = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(target), str(copy))
    (built,) = target.glob("melody_logs-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds nothing but the installed wheel."""
    target = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    return target


def pip(*arguments: str) -> None:
    """Run pip; fail with its output when it does."""
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def project_table() -> dict[str, list[str]]:
    """Return the part of pyproject.toml that says what is packaged."""
    table: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    return table


def test_package_list_names_every_folder_with_code() -> None:
    """The list is written by hand; a folder it forgets would be missing from the wheel and nowhere else."""
    package = ROOT / "melody_logs"
    folders = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in package.rglob("__init__.py")}
    assert sorted(project_table()["packages"]) == sorted(folders | set(MOVED))


def test_wheel_holds_every_file_of_the_checkout(wheel: Path) -> None:
    """Templates, migrations, styles and data as well as code; only the sources of data stay behind."""
    expected = {path.relative_to(ROOT).as_posix() for path in files_below(ROOT / "melody_logs")}
    for folder in MOVED.values():
        expected |= {f"melody_logs/{path.relative_to(ROOT).as_posix()}" for path in files_below(ROOT / folder)}
    packaged = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert sorted(packaged) == sorted(expected)


def test_wheel_carries_the_licences(wheel: Path) -> None:
    names = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/licenses/" in name}
    assert {"LICENSE", "NOTICE"} <= names


def test_installed_wheel_finds_its_parts_inside_itself(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = {name: Path(path) for name, path in json.loads(done.stdout).items()}
    assert [name for name, path in found.items() if not path.is_relative_to(installed)] == []
    assert (found["templates"] / "melody_logs").is_dir()
    assert (found["migrations"] / "env.py").is_file()
    assert found["static"].is_dir()


def files_below(folder: Path) -> list[Path]:
    """Return the files of a folder that are the project's own, without what Python compiled."""
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
