"""What a request does beside its own work: statements and commits on our engine, broker calls, connections opened."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import before_task_publish
from flask import Flask
from sqlalchemy import Engine, event, select

from melody_logs.integrations.sign_in_views import WatchedView
from melody_logs.state import state_of
from melody_logs.tasks import beat_schedule

from .measuring import Bar, Comparison, Round, Sizes, value
from .samples import REQUEST, SIGN_IN, make_mail
from .surroundings import close_host, make_host, measured_redis

COUNTED = ("statements", "commits", "broker calls", "connections")
REQUESTS = 200


class RequestCounter:
    """Counts what one thread does on any SQLAlchemy engine, with any Celery app, and through any socket of Python's.

    An audit hook cannot be taken away again; it counts while :meth:`counting` is open only.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._thread: int | None = None
        sys.addaudithook(self._hear)

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Count what this thread does inside the block."""
        self._counts = Counter()
        listeners = (("before_cursor_execute", self._note_statement), ("commit", self._note_commit))
        for name, listener in listeners:
            event.listen(Engine, name, listener)
        before_task_publish.connect(self._note_publish)
        self._thread = threading.get_ident()
        try:
            yield self._counts
        finally:
            self._thread = None
            before_task_publish.disconnect(self._note_publish)
            for name, listener in listeners:
                event.remove(Engine, name, listener)

    def _note(self, what: str) -> None:
        if threading.get_ident() == self._thread:
            self._counts[what] += 1

    def _note_statement(self, *given: object) -> None:
        self._note("statements")

    def _note_commit(self, *given: object) -> None:
        self._note("commits")

    def _note_publish(self, **given: object) -> None:
        self._note("broker calls")

    def _hear(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "socket.connect":
            self._note("connections")


@contextmanager
def work_in_a_request(database_url: str, folder: Path, sizes: Sizes) -> Iterator[Comparison]:
    """Count over requests that record a sign-in, a watched login and a mail, and over one that does one of each."""
    requests = 5 if sizes.quick else REQUESTS
    with measured_redis(folder) as redis:
        app = make_host(database_url, folder)
        celery = Celery(app.name, broker=redis.url)
        celery.conf.beat_schedule = beat_schedule(app)
        _add_views(app, celery)
        counter = RequestCounter()
        try:
            yield Comparison(
                name="request-work",
                says=f"counted in the thread of {requests} requests that record, and of a control",
                unit="",
                measure=partial(_count, app, counter, requests),
                criteria=[
                    *(value(what, Bar("==", 0)) for what in COUNTED),
                    *(value(f"control: {what}", Bar(">=", 1)) for what in COUNTED),
                ],
            )
        finally:
            celery.close()
            close_host(app)


def _add_views(app: Flask, celery: Celery) -> None:
    state = state_of(app)

    @app.post("/recording")
    def record() -> str:
        state.recorder.record_sign_in(dict(SIGN_IN))
        state.recorder.record_message("email", make_mail())
        return "recorded"

    @app.post("/login")
    def log_in() -> str:
        return "signed in"

    @app.post("/control")
    def do_it_all() -> str:
        with state.database.transaction() as connection:
            connection.execute(select(1))
        # A connection of its own: one that is kept would be counted in the first round only.
        with celery.connection_for_write() as broker:
            celery.send_task("benchmark.nothing", connection=broker)
        return "done"

    state.seams.watched_views["log_in"] = WatchedView(
        endpoint="log_in", identity="email", event="sign_in", method="password", user_id=None, outcome=None, reason=None
    )


def _count(app: Flask, counter: RequestCounter, requests: int, number: int) -> Round:
    client = app.test_client()
    sent = {"headers": REQUEST["headers"], "environ_base": REQUEST["environ_base"]}
    before = _count_appended(app)
    with counter.counting() as counts:
        for _ in range(requests):
            client.post("/recording", **sent)
            client.post("/login", data={"email": "ada@example.org"}, **sent)
    if _count_appended(app) - before != 3 * requests:
        raise RuntimeError(f"{_count_appended(app) - before} entries were spooled by {2 * requests} requests")
    ours = {what: float(counts[what]) for what in COUNTED}
    with counter.counting() as counts:
        client.post("/control", **sent)
    return ours | {f"control: {what}": float(counts[what]) for what in COUNTED}


def _count_appended(app: Flask) -> int:
    return max((file.last_appended for file in state_of(app).spool.own_files()), default=0)
