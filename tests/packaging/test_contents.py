"""What is published: wheel and source distribution hold all of melody_logs."""

from __future__ import annotations

import tarfile
import tomllib
import zipfile
from pathlib import Path

from tests.packaging.builds import ROOT, build_wheel
from tests.test_project import GENERATED

# The folders that a wheel carries under another name than the checkout.
MOVED = {"melody_logs.migrations": "migrations", "melody_logs.templates": "templates", "melody_logs.worker": "worker"}


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


def test_wheel_brings_the_pytest_plugin(wheel: Path) -> None:
    """An installation registers it by its entry point; the test kit's own tests run with that of the checkout."""
    held = zipfile.ZipFile(wheel)
    (name,) = [name for name in held.namelist() if name.endswith("entry_points.txt")]
    assert "[pytest11]\nmelody_logs = melody_logs.testing.plugin\n" in held.read(name).decode()


def test_wheel_carries_the_licences(wheel: Path) -> None:
    names = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/licenses/" in name}
    assert {"LICENSE", "NOTICE"} <= names


def test_source_distribution_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    """Byte for byte, so what is tested of one holds for the other."""
    again = build_wheel(sdist, tmp_path)
    assert contents(again) == contents(wheel)


def test_source_distribution_holds_what_a_packager_needs(sdist: Path) -> None:
    """Documentation, tests with their files, the lock and the licences: everything of a clone but its hidden files."""
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {path.relative_to(ROOT).as_posix() for path in files_below(ROOT) if not is_left_out(path)}
    assert wanted - held == set()
    assert {
        "LICENSE",
        "NOTICE",
        "docs/operations.md",
        "tests/conftest.py",
        "melody_logs/geolocation/data/country.mmdb",
    } <= held


def contents(wheel: Path) -> dict[str, bytes]:
    """Read every file of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def is_left_out(path: Path) -> bool:
    """Say whether a file of the checkout is made by tools or for the repository alone."""
    parts = path.relative_to(ROOT).parts
    return parts[0].startswith(".") or bool(GENERATED & set(parts)) or any(part.endswith(".egg-info") for part in parts)


def files_below(folder: Path) -> list[Path]:
    """Return the files of a folder that are the project's own, without what Python compiled."""
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
