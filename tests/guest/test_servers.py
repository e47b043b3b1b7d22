"""Real servers: in each process one drain thread, one spool and connections of its own; each attempt is there once."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.drills.reporting import Drill
from tests.guest.served_app import open_sockets, open_spools
from tests.guest.serving import (
    APP,
    ATTEMPTS,
    GUNICORN,
    UWSGI,
    Served,
    StartServer,
    assert_one_of_each,
    assert_workers_are_apart,
    expected,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what a process has open is read from /proc")


GUNICORN_OPTIONS = {
    "sync": [],
    "gthread": ["--worker-class", "gthread", "--threads", "4"],
    "gevent": ["--worker-class", "gevent"],
}
UWSGI_OPTIONS = {
    "threads": ["--enable-threads"],
    "lazy apps": ["--enable-threads", "--lazy-apps"],
    "many threads": ["--threads", "4"],
}


def expect_apart(drill: Drill, server: str, served: Served) -> None:
    """Check the workers, and note what they share and what was recorded."""
    first, second = (open_sockets(pid) for pid in assert_workers_are_apart(served))
    shared = len((first & second) - open_sockets(served.process.pid))
    rows = served.recorded().total()
    drill.expect(f"{server}: connections that two processes share", expected=0, measured=shared, held=shared == 0)
    drill.expect(f"{server}: attempts recorded", expected=ATTEMPTS, measured=rows, held=rows == ATTEMPTS)


@pytest.mark.fault("F19")
@pytest.mark.parametrize("name", GUNICORN_OPTIONS)
def test_gunicorn(start_server: StartServer, name: str, drill: Drill) -> None:
    served = start_server([*GUNICORN, *GUNICORN_OPTIONS[name], APP])
    served.sign_in(range(ATTEMPTS))
    served.wait_for(range(ATTEMPTS))
    expect_apart(drill, f"gunicorn {name}", served)


@pytest.mark.fault("F19")
@pytest.mark.parametrize("name", UWSGI_OPTIONS)
def test_uwsgi(start_server: StartServer, name: str, drill: Drill) -> None:
    """Its master loads the app and forks, in C; or each process loads it by itself."""
    served = start_server([*UWSGI, "--processes", "2", *UWSGI_OPTIONS[name]])
    served.sign_in(range(ATTEMPTS))
    served.wait_for(range(ATTEMPTS))
    expect_apart(drill, f"uWSGI {name}", served)


@pytest.mark.fault("F19")
def test_killed_worker_of_a_preloaded_app_loses_nothing(start_server: StartServer, drill: Drill) -> None:
    """What it had spooled is adopted by the next one; the app was made before the fork."""
    served = start_server([*GUNICORN, "--preload", APP])
    served.sign_in(range(10))
    before = assert_workers_are_apart(served)
    served.sign_in(range(10, ATTEMPTS))
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    served.process.wait_until(served.answers)
    served.wait_for(range(ATTEMPTS))
    assert not set(assert_workers_are_apart(served)) & set(before)
    expect_apart(drill, "gunicorn preload, workers killed", served)


def test_workers_that_end_after_some_requests_leave_nothing_behind(start_server: StartServer, tmp_path: Path) -> None:
    served = start_server([*GUNICORN, "--max-requests", "12", APP])
    served.sign_in(range(ATTEMPTS))
    served.process.stop()
    assert served.recorded() == expected(range(ATTEMPTS)), "each is there once when the server has ended"
    assert list(tmp_path.glob("melody_logs/spool/*.spool")) == []


def test_waitress(start_server: StartServer) -> None:
    options = ["--listen", "127.0.0.1:{port}", "--threads", "4", "--call", APP.removesuffix("()")]
    served = start_server([sys.executable, "-m", "waitress", *options])
    served.sign_in(range(ATTEMPTS))
    (fact,) = served.ask_facts(1)
    assert_one_of_each([fact])
    assert fact["pid"] == served.process.pid
    served.wait_for(range(ATTEMPTS))


RELOADERS = {
    "flask run": [sys.executable, "-m", "flask", "--app", APP, "run", "--debug", "--port", "{port}"],
    "app.run": [sys.executable, "-m", "tests.guest.served_app"],
}


@pytest.mark.parametrize("command", RELOADERS.values(), ids=RELOADERS)
def test_development_server_with_its_reloader(start_server: StartServer, tmp_path: Path, command: list[str]) -> None:
    """Its first process only watches the files; the second one serves, and is another after each change."""
    watched = tmp_path / "watched.py"
    watched.write_text("")
    extra = ["--extra-files", str(watched)] if "run" in command else []
    served = start_server([*command, *extra])
    served.sign_in(range(10))
    (fact,) = served.ask_facts(1)
    assert_one_of_each([fact])
    assert fact["pid"] != served.process.pid
    assert open_spools(served.process.pid) == []
    if extra:
        watched.write_text("# changed")
        os.utime(watched, (time.time() + 5,) * 2)
        served.process.wait_for_output("Detected change in")
        served.process.wait_until(lambda: served.answers() and served.ask_facts(1)[0]["pid"] != fact["pid"])
        served.sign_in(range(10, 20))
        assert_one_of_each(served.ask_facts(1))
    numbers = range(20 if extra else 10)
    served.wait_for(numbers)
