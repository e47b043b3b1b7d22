"""Append, fork, and append in both: FOLDER DESTINATION. The child lives on after its parent; its id is printed."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from melody_logs.recording.spool import Spool
from tests.recording.spool_rows import make_body


def main() -> None:
    """Fork with the spool open."""
    spool = Spool(Path(sys.argv[1]), destination=sys.argv[2])
    for number in range(50):
        assert spool.append("sms", make_body(f"before-{number}")) is not None
    process_id = os.fork()
    name = "parent" if process_id else "child"
    for number in range(50):
        assert spool.append("sms", make_body(f"{name}-{number}")) is not None
    assert spool.problem() is None
    print(f"{name} done {os.getpid()} end", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
