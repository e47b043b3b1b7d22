"""Small MMDB files for the tests of this folder, written by mmdb-writer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

WriteDatabase = Callable[..., Path]


@pytest.fixture
def write_database(tmp_path: Path) -> WriteDatabase:
    """``write_database(type, {network: record}, name="x.mmdb", ip_version=6) -> path``."""

    def write(kind: str, networks: dict[str, Any], name: str | None = None, ip_version: int = 6) -> Path:
        writer = MMDBWriter(ip_version, kind, ["en"], "made for a test", ipv4_compatible=ip_version == 6)
        for network, record in networks.items():
            writer.insert_network(IPSet([network]), record)
        path = tmp_path / (name or f"{kind}.mmdb".replace(" ", "-"))
        writer.to_db_file(str(path))
        return path

    return write
