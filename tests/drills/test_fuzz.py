"""Whatever a host hands over, by every way in: no exception, and the same rows on every database."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from melody_logs import MelodyLogs, signals
from melody_logs.extension import MESSAGE_FIELDS, SIGN_IN_FIELDS
from melody_logs.recording.poison import Rejection, read_entries, write_what_passes
from melody_logs.state import State, state_of
from melody_logs.storage.database import Database
from melody_logs.storage.models import TABLES
from melody_logs.vocabulary import KINDS
from tests.drills.reporting import Drill
from tests.hosts import close_host, make_host
from tests.recording import hostile
from tests.storage.rows import assert_totals_match, make_database

EXAMPLES_A_RUN = 250
NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
SIGN_IN_WAYS = ("record_sign_in", "sign_in_attempted")
MESSAGE_WAYS = ("record_email", "record_sms", "sending_email", "sending_sms", "email_sent", "sms_sent")
_words = st.sampled_from(["success", "failure", "sent", "failed", "pending", "sign_in", "ann@example.org", "8.8.8.8"])
_values = hostile.values | _words | st.just("🔑é\u202e\0" * 70_000) | st.builds(hostile.Disguised, hostile.texts)
_latin = st.text(st.characters(max_codepoint=255), max_size=60)


class Unspeakable(Exception):
    """An exception of the host's whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[str, str], Any]:
    """A way in, what is handed over, the headers of the request, and how a sending ends."""
    way = draw(st.sampled_from(SIGN_IN_WAYS + MESSAGE_WAYS))
    names = sorted(SIGN_IN_FIELDS if way in SIGN_IN_WAYS else MESSAGE_FIELDS)
    fields = draw(st.dictionaries(st.sampled_from(names), _values, max_size=6))
    headers = draw(st.dictionaries(st.sampled_from(["HTTP_USER_AGENT", "HTTP_REFERER", "REMOTE_ADDR"]), _latin))
    end = draw(st.sampled_from([Unspeakable, ValueError, "sent", "failed", "suppressed"]))
    return way, fields, headers, (end, draw(_values))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[Flask, MelodyLogs]]:
    """A host that only spools, with a view that does what a test left for it."""
    only_spools: dict[str, Any] = {"MELODY_LOGS_WRITER": "spool", "MELODY_LOGS_DRAIN_IN_PROCESS": False}
    # Each example a row of its own.
    only_spools["MELODY_LOGS_FLOOD_WHOLE_PER_MINUTE"] = 0
    app, logs = make_host(f"sqlite:///{tmp_path}/logs.db", tmp_path=tmp_path, **only_spools)
    app.add_url_rule("/do", "do", lambda: app.extensions["task"]() or "done", methods=["POST"])
    yield app, logs
    close_host(app)


@pytest.mark.fault("fuzz")
def test_short_run_of_hostile_values_raises_nothing_and_makes_equal_rows(
    host: tuple[Flask, MelodyLogs], sqlite_url: str, postgresql_url: str, mariadb_url: str, drill: Drill
) -> None:
    drill_fuzz(*host, [sqlite_url, postgresql_url, mariadb_url], drill, examples=250)


@pytest.mark.drills
@pytest.mark.fault("fuzz")
def test_ten_thousand_hostile_values_raise_nothing_and_make_equal_rows(
    host: tuple[Flask, MelodyLogs], sqlite_url: str, postgresql_url: str, mariadb_url: str, drill: Drill
) -> None:
    drill_fuzz(*host, [sqlite_url, postgresql_url, mariadb_url], drill, examples=10_000)


def drill_fuzz(app: Flask, logs: MelodyLogs, urls: list[str], drill: Drill, *, examples: int) -> None:
    """Record hostile values in runs, and write what each run spooled to every database."""
    # Hundreds of withheld texts are told there.
    logging.getLogger("melody_logs").setLevel(logging.CRITICAL)
    state = state_of(app)
    databases = [make_database(url) for url in urls]
    ways: Counter[str] = Counter()
    rejected = entries = 0
    for run in range(examples // EXAMPLES_A_RUN):
        fuzz(app, logs, drill.seed + run, ways)
        written, refused = write_to_each(state, databases)
        entries += written
        rejected += len(refused)
    logging.getLogger("melody_logs").setLevel(logging.NOTSET)
    lost = sum(state.recorder.failures.totals().values())
    drill.expect(
        "examples without an exception",
        expected=f"≥ {examples:,}",
        measured=f"{ways.total():,}",
        held=ways.total() >= examples * 0.98 and len(ways) == 8,
    )
    drill.expect("entries lost to an error of ours", expected=0, measured=lost, held=lost == 0)
    drill.expect("entries that a database refuses", expected=0, measured=rejected, held=rejected == 0)
    names = ", ".join(database.dialect_name for database in databases)
    different, rows = compare(databases)
    drill.expect(
        f"rows that differ between {names}",
        expected=0,
        measured=f"{different} of {rows:,}",
        held=different == 0 and 0 < rows <= entries,
    )
    for database in databases:
        assert_totals_match(database)
        database.close()


def fuzz(app: Flask, logs: MelodyLogs, first_seed: int, ways: Counter[str]) -> None:
    """Make one run of examples; what escapes from a call fails it, and Hypothesis shows the smallest such call."""
    client = app.test_client()

    @seed(first_seed)
    @hypothesis_settings(
        max_examples=EXAMPLES_A_RUN, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(call=calls())
    def run(call: tuple[str, dict[str, Any], dict[str, str], Any]) -> None:
        way, fields, headers, end = call
        app.extensions["task"] = lambda: hand_over(app, logs, way, fields, end)
        assert client.post("/do", environ_overrides=headers).text == "done"
        ways[way] += 1

    run()


def hand_over(app: Flask, logs: MelodyLogs, way: str, fields: dict[str, Any], end: tuple[Any, Any]) -> None:
    """Call the way in, as a view does."""
    if way.startswith("record_"):
        getattr(logs, way)(**fields)
    elif way.startswith("sending_"):
        finish_sending(getattr(logs, way), fields, *end)
    else:
        getattr(signals, way).send(app, **fields)


def finish_sending(sending: Callable[..., Any], fields: dict[str, Any], end: Any, answer: Any) -> None:
    """Send, with an exception that must come through unchanged, or with any answer."""
    if isinstance(end, str):
        with sending(**fields) as message:
            getattr(message, end)(answer)
        return
    raised = end("no")
    with pytest.raises(end) as caught, sending(**fields):
        raise raised
    assert caught.value is raised


def write_to_each(state: State, databases: list[Database]) -> tuple[int, list[Rejection]]:
    """Write what waits in the spool to every database, batch by batch as the drain does."""
    entries, refused = 0, list[Rejection]()
    for file in state.spool.own_files():
        while batch := file.read_batch():
            read, unreadable = read_entries(batch)
            refused += unreadable
            for database in databases:
                with database.write() as connection:
                    refused += write_what_passes(connection, NOW, read)
            entries += len(read)
            file.drained_through = batch[-1].number
            file.delete_drained()
    return entries, refused


def compare(databases: list[Database]) -> tuple[int, int]:
    """Compare every column but the ids of all rows; return how many differ, and how many there are."""
    different = rows = 0
    for kind in KINDS:
        tables = [rows_of(database, TABLES[kind]) for database in databases]
        rows += len(tables[0])
        different += sum(any(row != first for row in others) for first, *others in zip(*tables, strict=True))
    return different, rows


def rows_of(database: Database, table: Any) -> list[tuple[Any, ...]]:
    columns = [column for column in table.c if column.name != "id"]
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(table.c.position))]
