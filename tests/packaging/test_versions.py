"""Every Python that is found, and the lowest and newest versions of the dependencies: ``make test-versions``.

The environments are made by uv from the package index that uv is set up for.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests.packaging.builds import ROOT, run, smoke
from tests.packaging.pythons import Python, find_pythons

pytestmark = pytest.mark.versions
PYTHONS = find_pythons()
#: What touches the dependencies, without a browser.
PARTS = ("admin", "api", "cli", "clients", "geolocation", "jobs", "recording", "storage", "worker")
LEFT_OUT = ("admin/test_browser.py", "admin/test_accessibility.py")


def uv(*arguments: str | Path) -> str:
    """Run uv in the checkout."""
    return run([str(Path(sys.executable).with_name("uv")), "--quiet", *map(str, arguments)], folder=ROOT)


def make_environment(folder: Path, python: Python, resolution: str, *installed: str | Path) -> Path:
    """Make an environment with the lowest or highest versions that pyproject.toml allows; return its Python."""
    uv("venv", "--python", python.path, folder)
    inside, pins = folder / "bin" / "python", folder / "pins.txt"
    extras = ("--extra", "postgresql", "--extra", "mariadb", "--extra", "prometheus", "--extra", "demo")
    # Versions without wheels would be built by today's compilers: that tests those.
    resolving = ("--resolution", resolution, "--python", inside, "--only-binary", ":all:", *extras)
    uv("pip", "compile", *resolving, "--output-file", pins, "pyproject.toml")
    uv("pip", "install", "--python", inside, "--requirement", pins, *installed)
    return inside


def tools() -> list[str]:
    """List what the tests need, without other extensions of Flask: they would ask for versions of their own."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return [name for name in (*groups["test"], *groups["build"]) if not name.lower().startswith("flask")]


@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_wheel_works_on(python: Python, wheel: Path, tmp_path: Path) -> None:
    inside = make_environment(tmp_path / "environment", python, "highest", wheel)
    found = smoke(inside, tmp_path / "host")
    assert found["python"] == ".".join(map(str, python.version))
    assert found["demo"]
    print(found)


@pytest.mark.parametrize(
    ("resolution", "python"),
    [("lowest-direct", PYTHONS[0]), ("highest", PYTHONS[-1])],
    ids=[f"lowest on {PYTHONS[0]}", f"newest on {PYTHONS[-1]}"],
)
def test_suite_passes_with(resolution: str, python: Python, tmp_path: Path) -> None:
    """Storage, recording, API, pages, commands and the worker, with real servers."""
    inside = make_environment(tmp_path / "environment", python, resolution, *tools())
    uv("pip", "install", "--python", inside, "--no-deps", "--no-build-isolation", "--editable", ".")
    ignored = [f"--ignore=tests/{path}" for path in LEFT_OUT]
    # Python 3.13 warns of connections that were dropped: tests leave spools as a killed process does.
    options = ["-q", "-n", "2", "--dist", "loadfile", "-W", "ignore:unclosed database:ResourceWarning"]
    options += ["-p", "no:cacheprovider", "--basetemp", str(tmp_path / "temporary")]
    printed = run([str(inside), "-m", "pytest", *options, *ignored, *(f"tests/{part}" for part in PARTS)], folder=ROOT)
    print(uv("pip", "freeze", "--python", inside), printed[-400:])
    assert int(re.findall(r"(\d+) passed", printed)[-1]) > 1000
    assert not re.search(r"\d+ (skipped|failed|error)", printed)
