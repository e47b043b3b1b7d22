"""Drain a folder, but end at once when a function is called: FOLDER DATABASE_URL QUALIFIED_NAME [NTH_CALL]."""

from __future__ import annotations

import sys
from pathlib import Path

from melody_logs.recording.drain import Drain
from melody_logs.recording.spool import Spool
from tests.crashing import crash_at
from tests.recording.spool_rows import make_database


def main() -> None:
    """Drain with the trap set."""
    folder, url, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    calls = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    database = make_database(url, tables=False)
    drain = Drain(Spool(folder, destination=database.fingerprint), database)

    crash_at(name, calls=calls)
    drain.run_once()


if __name__ == "__main__":
    main()
