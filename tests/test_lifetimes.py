"""An app that its host drops, as test suites do by the hundred, takes everything of ours with it."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from pathlib import Path

import pytest
from flask import Flask

from melody_logs import signals
from melody_logs.state import state_of
from tests.hosts import make_host
from tests.servers.processes import wait_until


def make_and_use() -> tuple[weakref.ref[Flask], Path]:
    app, logs = make_host()
    app.add_url_rule("/", "home", lambda: str(logs.record_sms(receiver="+16471231111", success=True)))
    assert app.test_client().get("/").text != "None"
    with app.app_context():
        signals.email_sent.send(app, receiver="ann@example.org", success=True)
    return weakref.ref(app), Path(state_of(app).database.url.database or "").parent


def test_dropped_app_leaves_no_thread_no_file_and_no_memory() -> None:
    known = set(threading.enumerate())
    app, folder = make_and_use()

    def is_gone() -> bool:
        gc.collect()
        ours = [thread for thread in set(threading.enumerate()) - known if thread.name == "melody_logs drain"]
        return app() is None and not ours and not folder.exists()

    wait_until(is_gone)


def test_child_process_leaves_the_temporary_folder_to_its_parent() -> None:
    app, _ = make_host()
    folder = Path(state_of(app).database.url.database or "").parent
    child = os.fork()
    if child == 0:
        del app
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert folder.is_dir()


@pytest.mark.parametrize("signal", [signals.email_sent, signals.sms_sent, signals.sign_in_attempted])
def test_signals_keep_nothing_of_a_dropped_app(signal: object) -> None:
    def count_receivers() -> int:
        gc.collect()
        return len(signal.receivers)  # type: ignore[attr-defined]

    before = count_receivers()
    make_and_use()
    wait_until(lambda: count_receivers() <= before)
