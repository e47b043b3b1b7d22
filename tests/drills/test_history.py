"""F1: what was acknowledged is in the tables exactly once, whatever is killed, frozen and restarted meanwhile."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

import pytest

from melody_logs.recording.drain import Drain
from melody_logs.recording.spool import Spool
from melody_logs.storage.database import Database
from tests.conftest import StartProcess
from tests.drills.history import Comparison, History, compare, read_history
from tests.drills.history_client import MOST_ATTEMPTS
from tests.drills.nemesis import Nemesis
from tests.drills.reporting import Drill
from tests.drills.web_host import GTHREAD, SYNC, WebHost
from tests.servers.postgresql import PostgresqlServer
from tests.servers.server import Server
from tests.storage.rows import assert_totals_match, make_database, message, sign_in, write

CLIENTS = 3
ROUND_FAULTS = 10
LONG_ACKS = 100_000
LONG_FAULTS = 60
LONG_SECONDS = 100
SHORT_FAULTS = 8
SETTLE_SECONDS = 180
OTHER_FAULTS = 20
OTHER_ACKS = 20_000
TITLES = {"sqlite": "SQLite", "mariadb": "MariaDB"}


@pytest.mark.fault("F1")
def test_short_history(
    drill: Drill,
    start_process: StartProcess,
    tmp_path: Path,
    postgresql_url: str,
    postgresql_server: PostgresqlServer,
) -> None:
    host = WebHost(start_process, tmp_path, postgresql_url, options=(*SYNC, "--preload"))
    run_history(drill, "PostgreSQL", host, postgresql_server, faults=SHORT_FAULTS, acks=1_000, seconds=1)


@pytest.mark.drills
@pytest.mark.fault("F1")
@pytest.mark.parametrize("worker", ["sync", "gthread preload"])
@pytest.mark.timeout(1200)
def test_long_history(
    drill: Drill,
    start_process: StartProcess,
    tmp_path: Path,
    postgresql_url: str,
    postgresql_server: PostgresqlServer,
    worker: str,
) -> None:
    options = SYNC if worker == "sync" else (*GTHREAD, "--preload")
    host = WebHost(start_process, tmp_path, postgresql_url, options=options)
    run_history(
        drill,
        f"PostgreSQL, {worker}",
        host,
        postgresql_server,
        faults=LONG_FAULTS,
        acks=LONG_ACKS,
        seconds=LONG_SECONDS,
    )


@pytest.mark.drills
@pytest.mark.fault("F1")
@pytest.mark.parametrize("name", ["sqlite", "mariadb"])
@pytest.mark.timeout(600)
def test_history_on_other_databases(
    drill: Drill, start_process: StartProcess, tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{name}_url")
    server: Server | None = request.getfixturevalue("mariadb_server") if name == "mariadb" else None
    host = WebHost(start_process, tmp_path, url, options=(*SYNC, "--preload"))
    run_history(drill, TITLES[name], host, server, faults=OTHER_FAULTS, acks=OTHER_ACKS, seconds=1)


def test_checker_finds_what_is_lost_doubled_and_not_sent(tmp_path: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    twice, once, pending = sign_in(event_id="twice"), sign_in(event_id="once"), message(event_id="m", status="pending")
    write(database, twice, once, pending)
    write(database, twice)
    notes = tmp_path / "notes"
    lines = [
        {"kind": "sign-in", "asked": 3},
        {"kind": "sign-in", "ids": ["twice", "gone"]},
        {"kind": "hook", "asked": 1},
        {"kind": "hook", "ids": ["h@example.org"]},
        {"kind": "email", "asked": 1},
        {"kind": "email", "ids": ["m"]},
    ]
    notes.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = compare(database, read_history([notes]))
    assert (found.missing, found.doubled, found.unsent_mails) == (2, 1, 1)
    assert found.surplus_allowed == 1
    assert found.repeated_positions == 0


def test_checker_finds_a_guess_that_is_counted_twice_behind_unanswered_ones(tmp_path: Path, sqlite_url: str) -> None:
    database = make_database(sqlite_url)
    for account, counted in (("exact", 2), ("twice", 3), ("unanswered", 3)):
        values = {"identity": account, "outcome": "failure", "folded_count": counted}
        write(database, sign_in(event_id=account, **values))
    notes = tmp_path / "notes"
    lines = [
        *({"kind": "sign-in", "account": account, "asked": 2} for account in ("exact", "twice", "unanswered")),
        *({"kind": "sign-in", "account": account, "ids": [account] * 2} for account in ("exact", "twice")),
        {"kind": "sign-in", "account": "unanswered", "asked": 24},
        {"kind": "sign-in", "account": "unanswered", "ids": ["unanswered"] * 2},
        {"kind": "sign-in", "account": "unanswered", "unanswered": 24},
    ]
    notes.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = compare(database, read_history([notes]))
    assert (found.missing, found.doubled, found.miscounted) == (0, 0, 1)
    assert found.surplus <= found.surplus_allowed


def run_history(
    drill: Drill, title: str, host: WebHost, server: Server | None, *, faults: int, acks: int, seconds: float
) -> None:
    """Let clients record and the nemesis rage until both have done enough, then compare."""
    database = make_database(host.database_url)
    web = host.start()
    worker = host.start_celery("worker", "--pool", "solo", "--without-gossip", "--without-mingle")
    beat = host.start_celery("beat")
    started_at = time.monotonic()
    clients = [host.start_client(f"c{number}", drill.random.getrandbits(32)) for number in range(CLIENTS)]
    clients.append(host.start_client("guesser", drill.random.getrandbits(32), "same"))
    nemesis = Nemesis(drill.random, host, web, server, worker)
    nemesis.rage(faults)
    while read_history(host.notes).acks < acks or time.monotonic() < started_at + seconds:
        nemesis.rage(ROUND_FAULTS)
    raged_seconds = round(time.monotonic() - started_at)
    for process in (*clients, beat, worker):
        process.kill()
    waiting = settle(host, database)
    drill.expect(f"{title}: waiting at the end", expected=0, measured=waiting, held=waiting == 0)
    report(drill, title, compare(database, read_history(host.notes)), read_history(host.notes), acks=acks)
    done = f"{nemesis.done.total()} in {raged_seconds} s"
    enough = nemesis.done.total() >= faults
    drill.expect(f"{title}: faults", expected=f"≥ {faults} in ≥ {seconds} s", measured=done, held=enough)
    print(*(f"{name}: {count}" for name, count in sorted(nemesis.done.items())), sep="\n")
    assert_totals_match(database)


def report(drill: Drill, title: str, found: Comparison, history: History, *, acks: int) -> None:
    """Note what the comparison says."""
    drill.expect(
        f"{title}: acknowledged", expected=f"≥ {acks:,}", measured=f"{history.acks:,}", held=history.acks >= acks
    )
    folded = history.folded_acks
    drill.expect(
        f"{title}: of them counted in one row with others", expected="≥ 1", measured=f"{folded:,}", held=folded >= 1
    )
    for what, count in {
        "refused by record_*": history.refused,
        "acknowledged and lost": found.missing,
        "doubled": found.doubled,
        "guesses counted twice": found.miscounted,
        "acknowledged mails that are not sent": found.unsent_mails,
        "positions given twice": found.repeated_positions,
    }.items():
        drill.expect(f"{title}: {what}", expected=0, measured=count, held=count == 0)
    unanswered = history.unanswered_requests + CLIENTS + 1
    allowed = min(found.surplus_allowed, unanswered * MOST_ATTEMPTS)
    drill.expect(
        f"{title}: there, but not acknowledged",
        expected=f"0 to {allowed:,}, of {unanswered} requests without an answer",
        measured=found.surplus,
        held=0 <= found.surplus <= allowed,
    )


def settle(host: WebHost, database: Database) -> int:
    """Let the host drain, and help as its worker would, until nothing waits; give what waits all the same."""
    drain = Drain(Spool(host.folder / "melody_logs" / "spool", destination=database.fingerprint), database)
    deadline = time.monotonic() + SETTLE_SECONDS
    waiting = 1
    while waiting and time.monotonic() < deadline:
        with suppress(Exception):  # the database may be starting
            drain.run_once(include_live=True)
            waiting = drain.spool.waiting().entries
        time.sleep(0.2)
    drain.spool.close()
    return waiting
