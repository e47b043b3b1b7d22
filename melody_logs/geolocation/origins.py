"""A note beside a location file about where it came from, so that the same version is not downloaded twice."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a file was downloaded; checksums are SHA-256 in hexadecimal."""

    address: str
    #: Of what was downloaded, such as the archive.
    checksum: str
    #: Of the file itself: the note is of no use for another one.
    file_checksum: str
    etag: str | None = None
    last_modified: str | None = None

    def conditions(self, address: str) -> dict[str, str]:
        """Give the headers by which a server answers only with another version (RFC 9110, section 13)."""
        if address != self.address:
            return {}
        given = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in given.items() if value}


def read_origin(path: Path) -> Origin | None:
    """Read the note beside *path*; None if there is none or it speaks of another file."""
    try:
        origin = Origin(**json.loads(_note_of(path).read_bytes()))
        return origin if origin.file_checksum == hash_file(path) else None
    except (OSError, ValueError, TypeError):
        return None


def write_origin(path: Path, origin: Origin) -> None:
    """Write the note beside *path*; without it the next update downloads the file once more."""
    note = _note_of(path)
    new = note.with_name(f"{note.name}.{os.getpid()}.part")
    try:
        new.write_text(json.dumps(asdict(origin), indent=1) + "\n", encoding="utf-8")
        os.replace(new, note)
    except OSError:
        new.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    :raise OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.origin.json")
