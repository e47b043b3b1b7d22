"""Each configured location file as it is now, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import GeolocationUnavailableError
from .databases import BUNDLED_TABLE, DatabaseInfo
from .inspecting import FileFacts, inspect_file
from .kinds import licence_of
from .locate import Locator


@dataclass(frozen=True, slots=True)
class FileStatus:
    """A file: what the locator says of it, and what a close look found, unless it cannot be read."""

    info: DatabaseInfo
    facts: FileFacts | None

    @property
    def is_bundled(self) -> bool:
        """Say whether it is the approximate table that comes with melody_logs."""
        return self.info.path == str(BUNDLED_TABLE)

    @property
    def licence(self) -> str:
        """What its licence asks for, in a few words; empty if that is not known."""
        return licence_of("bundled" if self.is_bundled else self.info.type or "")

    def describe(self) -> dict[str, Any]:
        """Give it as an object of JSON."""
        facts = self.facts
        return {
            "path": self.info.path,
            "state": self.info.state,
            "error": self.info.error,
            "answers_as": self.info.name,
            "is_approximate": self.is_bundled,
            "type": self.info.type,
            "kind": facts and facts.kind,
            "layout": facts and facts.layout,
            "built_on": self.info.built_on and self.info.built_on.isoformat(),
            "age_days": self.info.age_days,
            "bytes": facts and facts.bytes,
            "nodes": facts and facts.nodes,
            "ip_version": facts and facts.ip_version,
            "fields": list(facts.fields) if facts else [],
            "licence": self.licence,
        }


def list_files(locator: Locator) -> list[FileStatus]:
    """Look at each file of *locator*; never raises."""
    return [_look_at(info) for info in locator.describe()]


def _look_at(info: DatabaseInfo) -> FileStatus:
    try:
        return FileStatus(info, inspect_file(info.path))
    except GeolocationUnavailableError:
        return FileStatus(info, None)
