"""F2: web processes that are killed while they record, dozens of times."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.conftest import StartProcess
from tests.drills.history import compare, read_history
from tests.drills.reporting import Drill
from tests.drills.test_history import settle
from tests.drills.web_host import SYNC, WebHost, children_of, kill_at_once
from tests.servers.processes import wait_until
from tests.storage.rows import make_database

SHORT_AND_LONG = [pytest.param(False, id="short"), pytest.param(True, id="long", marks=pytest.mark.drills)]
CLIENTS = 3


@pytest.mark.fault("F2")
@pytest.mark.parametrize("is_long", SHORT_AND_LONG)
def test_kill_9_of_web_processes_loses_nothing(
    drill: Drill, is_long: bool, start_process: StartProcess, tmp_path: Path, postgresql_url: str
) -> None:
    kills = drill.choose(80, 8)
    host = WebHost(start_process, tmp_path, postgresql_url, options=(*SYNC, "--preload"))
    database = make_database(postgresql_url)
    web = host.start()
    clients = [host.start_client(f"c{number}", drill.random.getrandbits(32)) for number in range(CLIENTS)]
    killed = set[int]()
    while len(killed) < kills:
        time.sleep(drill.random.uniform(0.05, 0.5))
        wait_until(lambda: set(children_of(web.pid)) - killed, what="a worker")
        pid = drill.random.choice(sorted(set(children_of(web.pid)) - killed))
        kill_at_once(pid)
        killed.add(pid)
    for client in clients:
        client.kill()
    settle(host, database)
    history = read_history(host.notes)
    found = compare(database, history)
    damaged = len(list(tmp_path.rglob("*.corrupt")))
    drill.expect("kills", expected=kills, measured=len(killed), held=len(killed) == kills)
    drill.expect(f"lost of {history.acks:,}", expected=0, measured=found.missing, held=found.missing == 0)
    drill.expect("doubled", expected=0, measured=found.doubled, held=found.doubled == 0)
    drill.expect("damaged spool files", expected=0, measured=damaged, held=damaged == 0)
