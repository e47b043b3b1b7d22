"""The data folder of a demo: made for its owner only, held by one supervisor at a time, its old logs put aside."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import MelodyLogsError


class DemoError(MelodyLogsError):
    """The demo cannot start; the text says why and what to do."""


@contextmanager
def held_folder(data_dir: Path) -> Iterator[None]:
    """Make *data_dir* and hold it for this process.

    :raise DemoError: if another demo runs on it, or it cannot be made.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data_dir / "logs").mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(data_dir / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DemoError(
            f'the data folder "{data_dir}" cannot be used: {error.strerror}; name another by --data-dir'
        ) from error
    with open(descriptor, "r+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                f'another demo (process {lock.read().strip() or "unknown"}) runs on "{data_dir}": '
                "stop it, or name another folder by --data-dir"
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def put_aside_logs(data_dir: Path) -> None:
    """Rename the log files of the last run to ``NAME.log.1``."""
    for path in (data_dir / "logs").glob("*.log"):
        path.replace(path.with_suffix(".log.1"))


def empty_broker(data_dir: Path) -> None:
    """Drop what waits in the embedded broker: only ticks of the clock, which come again."""
    shutil.rmtree(data_dir / "worker", ignore_errors=True)
