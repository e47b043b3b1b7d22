"""Drain a folder, but end at once when a function is called: FOLDER DATABASE_URL QUALIFIED_NAME [NTH_CALL]."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType

from melody_logs.recording.drain import Drain
from melody_logs.recording.spool import Spool
from tests.recording.spool_rows import make_database

CRASHED = 9


def main() -> None:
    """Drain with the trap set."""
    folder, url, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    calls_left = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    database = make_database(url, tables=False)
    drain = Drain(Spool(folder, destination=database.fingerprint), database)

    def crash(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls_left
        if event == "call" and frame.f_code.co_qualname == name:
            calls_left -= 1
            if not calls_left:
                os._exit(CRASHED)

    sys.setprofile(crash)
    drain.run_once()


if __name__ == "__main__":
    main()
