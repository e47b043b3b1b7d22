"""From what was downloaded to the MMDB file in it: as it is, in gzip, or in a tar archive in gzip.

Nothing of an archive decides where anything is written, and what it unpacks to is limited before it is written.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from typing import IO, BinaryIO, cast

from ..errors import LocationUpdateError

_GZIP = b"\x1f\x8b"
_TAR_PLACE, _TAR_MAGIC = 257, b"ustar"
_CHUNK_BYTES = 1 << 16
#: What may lie before the file in an archive: licences and the like, and headers that are read into memory whole.
_MOST_BYTES_BEFORE = 16_000_000


def unpack(source: BinaryIO, target: BinaryIO, *, most_bytes: int) -> None:
    """Write the MMDB file that *source* is or holds to *target*.

    :raise LocationUpdateError: if it is damaged, holds none, or would be larger than *most_bytes*.
    """
    try:
        if source.read(2) != _GZIP:
            source.seek(0)
            _copy(source, target, most_bytes)
            return
        source.seek(0)
        with gzip.GzipFile(fileobj=source) as plain:
            is_tar = plain.read(_TAR_PLACE + len(_TAR_MAGIC))[_TAR_PLACE:] == _TAR_MAGIC
        source.seek(0)
        with gzip.GzipFile(fileobj=source) as plain:
            if is_tar:
                _unpack_tar(plain, target, most_bytes)
            else:
                _copy(plain, target, most_bytes)
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError, ValueError, RecursionError) as error:
        # The last two: numbers in the headers of an archive that are none, and headers that go on for ever.
        raise LocationUpdateError(
            f"the download is damaged or was cut short ({type(error).__name__}): try again"
        ) from error


def _unpack_tar(plain: gzip.GzipFile, target: BinaryIO, most_bytes: int) -> None:
    limited = _Limited(plain, _MOST_BYTES_BEFORE)
    with tarfile.open(fileobj=cast(IO[bytes], limited), mode="r|") as archive:
        for member in archive:
            # A link has the name and another's content; a sparse file is larger than what is read.
            if member.isreg() and not member.issparse() and member.name.lower().endswith(".mmdb"):
                if member.size > most_bytes:
                    raise LocationUpdateError(_say_too_large(most_bytes))
                limited.allow(member.size)
                content = archive.extractfile(member)
                assert content is not None
                _copy(content, target, most_bytes)
                return
    raise LocationUpdateError("the archive holds no MMDB file: check that the address names the binary format")


class _Limited:
    """A stream that refuses to give more than was allowed."""

    def __init__(self, source: gzip.GzipFile, most_bytes: int) -> None:
        self._source = source
        self._left = most_bytes

    def allow(self, more_bytes: int) -> None:
        """Let so many bytes more through."""
        self._left += more_bytes

    def read(self, size: int) -> bytes:
        """Read as a file does."""
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise LocationUpdateError("the archive is far larger than what it should hold: it is not unpacked")
        return data


def _copy(source: IO[bytes] | gzip.GzipFile, target: BinaryIO, most_bytes: int) -> None:
    written = 0
    while chunk := source.read(_CHUNK_BYTES):
        written += len(chunk)
        if written > most_bytes:
            raise LocationUpdateError(_say_too_large(most_bytes))
        target.write(chunk)


def _say_too_large(most_bytes: int) -> str:
    megabytes = most_bytes // 1_000_000
    return f"the file unpacks to more than {megabytes:,} MB; allow more with --max-megabytes if it is right"
