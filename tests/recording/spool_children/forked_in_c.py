"""Forks as uWSGI does, in C and without Python's hooks; the first entries of each child come from many threads at once.

``python -m tests.recording.spool_children.forked_in_c FOLDER DATABASE_URL CHILDREN THREADS``: each child ends with 0 if
all its entries are drained.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from pathlib import Path

from melody_logs.recording.drain import Drain
from melody_logs.recording.drain_thread import DrainThread
from melody_logs.recording.spool import Spool
from melody_logs.storage.database import Database
from tests.recording.spool_rows import count_marks, make_body, make_database
from tests.servers.processes import wait_until


def main(folder: str, database_url: str, children: int, threads: int) -> int:
    """Fork one child after the other; return how many lost an entry."""
    database = make_database(database_url)
    spool = Spool(Path(folder), destination=database.fingerprint)
    drain_thread = DrainThread(Drain(spool, database), 0.01)
    # It has a file open, so that there is something of the parent's to let go.
    spool.append("sms", make_body("parent"))
    failures = 0
    for child in range(children):
        # Not by os.fork(), which would call the hooks; this keeps the interpreter's lock meanwhile.
        pid = ctypes.PyDLL(None).fork()
        if pid == 0:
            os._exit(0 if record_at_once(spool, drain_thread, database, child, threads) else 1)
        failures += os.waitpid(pid, 0)[1] != 0
    spool.close()
    return failures


def record_at_once(spool: Spool, drain_thread: DrainThread, database: Database, child: int, threads: int) -> bool:
    """Append an entry from each of many threads, the first of this process, and say whether all are drained."""
    sys.setswitchinterval(1e-6)
    barrier = threading.Barrier(threads)
    wanted = {f"{child}-{thread}": 1 for thread in range(threads)}

    def record(thread: int) -> None:
        barrier.wait()
        drain_thread.ensure_started()
        spool.append("sms", make_body(f"{child}-{thread}"))
        drain_thread.ensure_started()
        drain_thread.notify()

    running = [threading.Thread(target=record, args=(thread,)) for thread in range(threads)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    try:
        wait_until(lambda: wanted.items() <= count_marks(database).items(), timeout_seconds=3)
    except AssertionError:
        return False
    drain_thread.stop()
    return True


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
