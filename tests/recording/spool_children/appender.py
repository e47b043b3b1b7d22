"""Append COUNT entries with marks NAME-1, NAME-2, … to FOLDER for DESTINATION, say "done", and wait to be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from melody_logs.recording.spool import Spool
from tests.recording.spool_rows import make_body


def main() -> None:
    """Append and wait."""
    folder, destination, name, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    spool = Spool(folder, destination=destination)
    for number in range(1, count + 1):
        assert spool.append("sms", make_body(f"{name}-{number}")) is not None
    print("done", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
