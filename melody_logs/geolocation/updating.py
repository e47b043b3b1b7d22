"""Putting a downloaded location file in the place of the one in use, if it is fit for that."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, cast

from ..errors import GeolocationUnavailableError, LocationUpdateError
from .downloading import LONGEST_SECONDS, TIMEOUT_SECONDS, OnProgress, RefusedError, download, read_checksum
from .inspecting import FileFacts, inspect_file
from .origins import Origin, hash_file, read_origin, write_origin
from .providers import Offer
from .unpacking import unpack

MOST_MEGABYTES = 2048
#: Clocks differ: a file that is built a little later than now is right.
_CLOCK_TOLERANCE = timedelta(days=1)
_PART = ".part"


@dataclass(frozen=True, slots=True)
class Update:
    """What an update did: ``facts`` of the file in place now, and of the one before it, if that could be read."""

    facts: FileFacts
    before: FileFacts | None
    is_changed: bool


def update_file(
    offer: Offer,
    path: Path,
    *,
    force: bool = False,
    most_bytes: int = MOST_MEGABYTES * 1_000_000,
    timeout_seconds: float = TIMEOUT_SECONDS,
    on_progress: OnProgress = lambda came, whole: None,
) -> Update:
    """Download what is offered, look at it closely, and replace *path* by it in one step.

    Whoever has the old file open goes on reading it. A file that has not changed is left alone.

    :param force: accept a file that is older than the one in place, or of another kind.
    :raise LocationUpdateError: if it cannot be downloaded, is not fit, or cannot be written; *path* is as it was then.
    """
    path = Path(os.path.realpath(path))  # a link goes on leading to its file
    try:
        _remove_old_parts(path)
        before = _inspect_present(path)
        origin = read_origin(path) if before else None
        checksum = read_checksum(offer, timeout_seconds=timeout_seconds)
        if before and checksum and _is_present(path, origin, checksum):
            return Update(before, before, False)
        with _part_of(path) as packed, _part_of(path) as plain:
            # With a checksum that is not of the file in place, an answer that nothing has changed would be no proof.
            known = None if checksum else origin
            loaded = _download(offer, packed, known, most_bytes, timeout_seconds, on_progress)
            if loaded is None:
                if before is None:
                    raise LocationUpdateError(f"{offer.provider} says that the file has not changed, but there is none")
                return Update(before, before, False)
            packed.seek(0)
            unpack(packed, plain, most_bytes=most_bytes)
            plain.flush()
            os.fsync(plain.fileno())
            origin = replace(loaded, file_checksum=hash_file(Path(plain.name)))
            _check_checksum(checksum, origin)
            return _put_in_place(Path(plain.name), path, before, origin, force)
    except OSError as error:
        remedy = "make room on the disk" if error.errno == errno.ENOSPC else "make its folder, and let us write there"
        raise LocationUpdateError(f'"{path}" cannot be written ({error.strerror or error}): {remedy}') from error


def _download(
    offer: Offer,
    target: BinaryIO,
    origin: Origin | None,
    most_bytes: int,
    timeout_seconds: float,
    on_progress: OnProgress,
) -> Origin | None:
    """Download the file, or its earlier version if there is none of this month yet; None if it has not changed."""
    for address in filter(None, (offer.address, offer.earlier_address)):
        try:
            found = download(
                offer,
                address,
                target,
                most_bytes=most_bytes,
                conditions=origin.conditions(address) if origin else {},
                on_progress=on_progress,
                timeout_seconds=timeout_seconds,
            )
        except RefusedError as error:
            if error.status != 404 or offer.earlier_address in (None, address):
                raise
        else:
            if found is None:
                return None
            return Origin(address, found.checksum, "", found.etag, found.last_modified)
    raise AssertionError("the last address either answers or raises")


def _check_checksum(expected: str | None, origin: Origin) -> None:
    if expected is not None and expected not in (origin.checksum, origin.file_checksum):
        raise LocationUpdateError(
            "the download does not have the checksum (SHA-256) that it should have: try again; if it stays so, the "
            "file or the checksum was changed on the way"
        )


def _put_in_place(part: Path, path: Path, before: FileFacts | None, origin: Origin, force: bool) -> Update:
    if before is not None and origin.file_checksum == hash_file(path):
        write_origin(path, origin)
        return Update(before, before, False)
    facts = _check_fitness(part, before, force)
    os.chmod(part, path.stat().st_mode & 0o777 if path.exists() else 0o644)
    os.replace(part, path)
    _sync_folder(path.parent)
    write_origin(path, origin)
    return Update(replace(facts, path=str(path)), before, True)


def _check_fitness(part: Path, before: FileFacts | None, force: bool) -> FileFacts:
    try:
        facts = inspect_file(part)
    except GeolocationUnavailableError as error:
        raise LocationUpdateError(str(error).replace(f'"{part}"', "the downloaded file")) from error
    if facts.built_at > datetime.now(UTC) + _CLOCK_TOLERANCE:
        raise LocationUpdateError(
            f"the downloaded file says that it was built on {facts.built_at:%Y-%m-%d}, which is to come: it is "
            "damaged, or the clock of this machine is wrong"
        )
    if before is None or force:
        return facts
    if facts.built_at < before.built_at:
        raise LocationUpdateError(
            f"the downloaded file, built on {facts.built_at:%Y-%m-%d}, is older than the one in place, built on "
            f"{before.built_at:%Y-%m-%d}: add --force to go back"
        )
    if facts.kind != before.kind:
        raise LocationUpdateError(
            f'the downloaded file is of the type "{facts.type}", the one in place "{before.type}": name another place '
            "with --output, or add --force to replace it"
        )
    return facts


def _inspect_present(path: Path) -> FileFacts | None:
    """Look at the file in place; one that cannot be used is as good as none."""
    try:
        return inspect_file(path)
    except GeolocationUnavailableError:
        return None


def _is_present(path: Path, origin: Origin | None, checksum: str) -> bool:
    return (origin is not None and origin.checksum == checksum) or hash_file(path) == checksum


@contextmanager
def _part_of(path: Path) -> Iterator[BinaryIO]:
    """Give a new file in the folder of *path*, so that renaming it is one step; it is gone at the end."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=_PART, delete=False) as file:
        try:
            yield cast(BinaryIO, file)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)


def _remove_old_parts(path: Path) -> None:
    """Remove what an update left that was killed; no download takes so long."""
    for part in path.parent.glob(f".{path.name}.*{_PART}"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > LONGEST_SECONDS:
                part.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
