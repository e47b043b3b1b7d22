"""``python -m tests.servers``: say which real servers the tests will use; as root, install the missing by apt-get."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import browser, mariadb, postgresql, redis_server
from .binaries import (
    Binary,
    chromium_binaries,
    mariadb_binaries,
    pgbouncer_binaries,
    postgresql_binaries,
    programs,
    redis_binaries,
)

APT_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Server:
    """A server the tests need: where its address may be given, how it is found, the Debian packages that have it."""

    name: str
    variable: str | None
    find: Callable[[], list[Binary]]
    packages: tuple[str, ...]


SERVERS = (
    Server("PostgreSQL", postgresql.ADDRESS_VARIABLE, postgresql_binaries, ("postgresql",)),
    Server("PgBouncer", None, pgbouncer_binaries, ("pgbouncer",)),
    # The programs alone: the package mariadb-server would start one of its own at every boot.
    Server("MariaDB", mariadb.ADDRESS_VARIABLE, mariadb_binaries, ("mariadb-server-core", "mariadb-client-core")),
    Server("Redis", redis_server.ADDRESS_VARIABLE, redis_binaries, ("redis-server",)),
    Server("Chromium", browser.ADDRESS_VARIABLE, chromium_binaries, ("chromium",)),
    # The documentation's commands use them.
    Server("curl", None, partial(programs, "curl"), ("curl",)),
    Server("sqlite3", None, partial(programs, "sqlite3"), ("sqlite3",)),
)


def describe(server: Server) -> str | None:
    """Return where the server comes from, None when it cannot be had."""
    if server.variable and os.environ.get(server.variable):
        return f"given by {server.variable}"
    found = server.find()
    return f"{found[0].path} ({found[0].source})" if found else None


def install(packages: list[str]) -> None:
    """Install Debian packages; what goes wrong is said and left to the tests, which skip or fail by themselves."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"Missing, and only root can install it: sudo apt-get install {' '.join(packages)}")
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["-qq", "-o", "DPkg::Lock::Timeout=300"]
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        try:
            subprocess.run(
                ["apt-get", *options, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=True,
                timeout=APT_SECONDS,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"apt-get {command[0]} failed: {error}")


def main() -> None:
    """Install what is missing, then print one line a server."""
    wanted = [package for server in SERVERS if describe(server) is None for package in server.packages]
    if wanted:
        print(f"Installing for the tests: {', '.join(wanted)}", flush=True)
        install(wanted)
    for server in SERVERS:
        print(f"{server.name}: {describe(server) or 'MISSING, its tests are skipped (they fail with CI=true)'}")


if __name__ == "__main__":
    main()
