"""What is counted in a process is that process's own."""

from __future__ import annotations

import os

from melody_logs.recording.tally import Tally


def test_forked_child_counts_anew() -> None:
    tally = Tally()
    tally.count("sms")
    child = os.fork()
    if child == 0:
        # Nothing of the test run may happen in here.
        was_empty = (tally.totals(), tally.last_at()) == ({}, None)
        tally.count("email")
        os._exit(0 if was_empty and tally.totals() == {"email": 1} else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert tally.totals() == {"sms": 1}
    assert tally.last_at() is not None


def test_count_in_a_signal_handler_does_not_wait_for_its_own_thread() -> None:
    tally = Tally()
    with tally._lock:
        tally.count("sms")
    assert tally.totals() == {"sms": 1}
