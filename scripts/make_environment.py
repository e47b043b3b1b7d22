"""Make or renew ``.venv/``: the locked packages, checked by their hashes, and this checkout, editable.

Only the standard library is used, and only pip installs: it follows the machine's own index and proxy settings.
The second run does nothing until the lock file, pyproject.toml, the Python version or the checkout's place changes.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
LOCK = ROOT / "requirements" / "lock.txt"
STAMP = ENVIRONMENT / "installed"
# Not sys.executable: with .venv/ activated that lies in the folder that is about to be replaced.
PYTHON: str = getattr(sys, "_base_executable", None) or sys.executable


def main() -> None:
    """Bring ``.venv/`` up to date, or end with a sentence that says what is missing."""
    with only_one_install():
        wanted = fingerprint()
        if STAMP.exists() and STAMP.read_text() == wanted:
            return
        print("Making .venv/ from requirements/lock.txt; the first time takes a minute or two.", flush=True)
        STAMP.unlink(missing_ok=True)
        pip = make_environment()
        # -qq shows errors only: pip warns about each package that one of several indexes lacks.
        run([*pip, "install", "-qq", "--no-deps", "--require-hashes", "--requirement", str(LOCK)])
        run([*pip, "install", "-qq", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
        STAMP.write_text(wanted)


@contextmanager
def only_one_install() -> Iterator[None]:
    """Hold a lock on the checkout's folder: `make run` and `make test` may be started at the same time."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another install is running in this checkout; waiting for it.", flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def fingerprint() -> str:
    """Return a text that changes whenever the environment must be renewed."""
    digest = hashlib.sha256(f"{ROOT} {sys.version}".encode())
    for path in (LOCK, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def make_environment() -> list[str]:
    """Create a new ``.venv/`` and return the command of a pip that installs into it."""
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    python = str(ENVIRONMENT / "bin" / "python")
    if not has_module("ensurepip"):
        install_venv_package()
    if has_module("ensurepip"):
        run([PYTHON, "-m", "venv", str(ENVIRONMENT)])
        return [python, "-m", "pip"]
    if has_module("pip"):
        run([PYTHON, "-m", "venv", "--without-pip", str(ENVIRONMENT)])
        return [PYTHON, "-m", "pip", "--python", python]
    sys.exit(
        f"{PYTHON} cannot make an environment: its 'ensurepip' module is missing. "
        f"On Debian and Ubuntu: sudo apt-get install {venv_package()}"
    )


def install_venv_package() -> None:
    """Install Debian's missing half of the venv module when this is root's to do."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", venv_package()]):
        subprocess.run(["apt-get", "-qq", *command], env=settings, stdin=subprocess.DEVNULL, check=False)
    importlib.invalidate_caches()


def venv_package() -> str:
    """Return the Debian package that completes the venv module of this Python."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}-venv"


def has_module(name: str) -> bool:
    """Return whether this Python has the module."""
    return importlib.util.find_spec(name) is not None


def run(command: list[str]) -> None:
    """Run a command; end with its exit code and a sentence when it fails."""
    # An environment of the caller's must not decide where pip looks for installed packages.
    settings = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    done = subprocess.run(command, env={**settings, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        print(f"This step of `make install` failed: {' '.join(command)}", file=sys.stderr)
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
