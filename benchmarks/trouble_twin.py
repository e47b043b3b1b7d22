"""One of the twins: a host with a Celery app, as hosts have, that records when it is asked to.

Asked for ``times``, it answers the seconds of each call; for ``backlog_bytes``, it fills its spool up to that and lets
the drain go on meanwhile; for what is ``left``, with the entries that wait; to ``settle``, when nothing waits any more.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from celery import Celery

from melody_logs.recording.entries import from_json
from melody_logs.state import state_of
from melody_logs.tasks import beat_schedule

from .children import answer_questions
from .recording import make_calls, time_calls
from .samples import REQUEST, new_event_id, spooled_mail, spooled_sign_ins
from .surroundings import close_host, make_app

SETTLE_SECONDS = 300.0
#: The backlog fits twice: in a spool that is nearly full, mails are recorded without their bodies.
SPOOL_MEGABYTES = 512


def main() -> None:
    """Answer questions until the parent ends."""
    app = make_app(
        os.environ["BENCHMARK_DATABASE_URL"],
        Path(os.environ["BENCHMARK_FOLDER"]),
        MELODY_LOGS_SPOOL_MAX_MEGABYTES=SPOOL_MEGABYTES,
    )
    celery = Celery(app.name, broker=os.environ["BENCHMARK_BROKER"])
    celery.set_default()
    celery.conf.beat_schedule = beat_schedule(app)
    state = state_of(app)
    kind = sys.argv[1]
    table, body = ("email", spooled_mail()) if kind == "mail" else ("sign-in", spooled_sign_ins(1)[0])
    event_id = from_json(body).event_id.encode()

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        if "times" in question:
            return {"seconds": time_calls(record, question["times"])}
        if "backlog_bytes" in question:
            for _ in range((question["backlog_bytes"] - state.spool.waiting().bytes) // len(body)):
                state.spool.append(table, body.replace(event_id, new_event_id().encode()))
            state.drain_thread.ensure_started()
        elif "settle" in question:
            end = time.monotonic() + SETTLE_SECONDS
            while state.spool.waiting().entries and time.monotonic() < end:
                state.drain_thread.hurry()
                time.sleep(0.1)
        return {"entries": state.spool.waiting().entries}

    with app.test_request_context(**REQUEST):
        record = make_calls(app)[kind]
        answer_questions(answer)
    close_host(app)


if __name__ == "__main__":
    main()
