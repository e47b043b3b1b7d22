"""What is published, built once for all tests of packaging."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.builds import build_sdist, build_wheel, copy_checkout, make_environment


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout."""
    return copy_checkout(tmp_path_factory.mktemp("source") / "checkout")


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(source: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution; built after the wheel, whose build must not need it."""
    return build_sdist(source, tmp_path_factory.mktemp("sdist") / "built")


@pytest.fixture(scope="session")
def installed_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment in which the wheel is installed, and the checkout is not."""
    return make_environment(tmp_path_factory.mktemp("installed") / "environment", wheel)
