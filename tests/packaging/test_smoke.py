"""Checkout, editable install and wheel pass the same smoke test, from another folder, as a host uses them."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.packaging.builds import ROOT, make_environment, smoke


def test_wheel(installed_python: Path, tmp_path: Path) -> None:
    found = smoke(installed_python, tmp_path / "host")
    assert Path(found["package"]).is_relative_to(installed_python.parent.parent)
    assert found["demo"], "the console script is installed"


def test_checkout_that_is_only_on_the_path(tmp_path: Path) -> None:
    python = make_environment(tmp_path / "environment")
    found = smoke(python, tmp_path / "host", worker="worker", path=str(ROOT))
    assert Path(found["package"]) == ROOT / "melody_logs"


def test_editable_install(tmp_path: Path) -> None:
    """What ``make install`` makes."""
    found = smoke(Path(sys.executable), tmp_path / "host")
    assert Path(found["package"]) == ROOT / "melody_logs"
