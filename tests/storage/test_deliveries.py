"""Reports of providers: in whatever order and number they come, a message ends as one row with one status."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from melody_logs.storage.database import Database
from melody_logs.storage.deliveries import DeliveryReport, forget_early_deliveries
from melody_logs.storage.delivery_history import MOST_REPORTS, Reported, add_to_history, read_history, settle_status
from melody_logs.storage.models import EarlyDelivery
from melody_logs.storage.pending import expire_pending
from melody_logs.storage.writer import RowWrite, write_rows
from melody_logs.vocabulary import REPORT_RANK, STATUS_RANK, Kind
from tests.storage.rows import NOW, assert_totals_match, make_database, message, read_all


@pytest.fixture
def database(database_url: str) -> Database:
    return make_database(database_url)


def report(
    status: str, minute: int = 0, detail: str | None = None, *, kind: Kind = "email", **more: Any
) -> DeliveryReport:
    """One report of the message "m-1" of SendGrid."""
    given = {"provider": "sendgrid", "provider_message_id": "m-1"} | more
    return DeliveryReport(kind=kind, status=status, occurred_at=NOW + timedelta(minutes=minute), detail=detail, **given)


def sent(**values: Any) -> RowWrite:
    """A message that SendGrid has taken."""
    return message(**{"provider": "sendgrid", "provider_message_id": "m-1", "status": "accepted"} | values)


def write(database: Database, *rows: RowWrite | DeliveryReport, age: timedelta = timedelta()) -> None:
    with database.write() as connection:
        write_rows(connection, database.now(connection) - age, list(rows))


def count_waiting(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(EarlyDelivery)) or 0


def statuses(row: Any) -> list[str]:
    return [line.status for line in read_history(row.delivery)]


def test_reports_take_a_message_through_its_life(database: Database) -> None:
    write(database, sent(), message(receiver="other"))
    for position, status in enumerate(("sent", "deferred", "delivered", "complained"), 3):
        write(database, report(status, position, f"as {status}"))
        row = read_all(database, "email")[0]
        assert (row.position, row.version) == (position, position - 1)
        assert row.status == ("sent" if status == "deferred" else status)
        assert_totals_match(database)
    assert json.loads(row.delivery)[1] == {
        "status": "deferred",
        "occurred_at": (NOW + timedelta(minutes=4)).isoformat(),
        "detail": "as deferred",
    }
    assert (row.receiver, row.updated_at > row.recorded_at) == ("ann@example.org", True)
    assert read_all(database, "email")[1].status == "sent"


def test_repeated_report_changes_nothing(database: Database) -> None:
    write(database, sent(), report("delivered"), report("delivered"))
    (before,) = read_all(database, "email")
    write(database, report("delivered", 5), report("delivered"))
    assert read_all(database, "email") == [before]
    assert statuses(before) == ["delivered"]


def test_any_order_beside_the_phases_gives_the_same_row(database: Database) -> None:
    """Reports may come before the row, between its phases and after them, each in a transaction of its own."""
    ends = set()
    for number, order in enumerate(permutations(["phases", "sent", "delivered", "bounced"])):
        own = {"event_id": str(uuid.uuid4()), "provider_message_id": f"m-{number}"}
        for step in order:
            if step == "phases":
                first = sent(**own | {"provider_message_id": None, "status": "pending"})
                write(database, first)
                write(database, RowWrite("email", sent(**own, response="202").values, amends=True))
            else:
                write(database, report(step, len(step), provider_message_id=own["provider_message_id"]))
        row = read_all(database, "email")[-1]
        ends.add((row.status, row.response, row.delivery, row.stored_bytes - len(own["provider_message_id"])))
    assert len(ends) == 1
    assert next(iter(ends))[0] == "bounced"
    assert count_waiting(database) == 0
    assert_totals_match(database)


def test_report_waits_for_its_message_and_is_given_up_after_three_days(database: Database) -> None:
    write(database, report("delivered"), report("bounced", provider_message_id="never"), age=timedelta(days=4))
    write(database, report("bounced", provider_message_id="young"))
    write(database, sent())
    (row,) = read_all(database, "email")
    assert (row.status, count_waiting(database)) == ("delivered", 2)
    assert forget_early_deliveries(database) == 1
    assert count_waiting(database) == 1


def test_waiting_reports_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("melody_logs.storage.deliveries.MOST_EARLY", 3)
    for number in range(5):
        write(database, report("delivered", provider_message_id=f"m-{number}"))
    assert count_waiting(database) == 3
    write(database, sent(provider_message_id="m-0"), sent(provider_message_id="m-4"))
    assert [row.status for row in read_all(database, "email")] == ["accepted", "delivered"]


@pytest.mark.parametrize(
    ("provider", "provider_message_id", "kind", "joined"),
    [
        ("sendgrid", "m-1", "email", True),
        ("SendGrid", "<m-1>", "email", True),
        ("smtp", "m-1", "email", True),
        (None, "m-1", "email", True),
        ("mailgun", "m-1", "email", False),
        ("sendgrid", "M-1", "email", False),
        ("sendgrid", "m-1", "sms", False),
    ],
)
def test_report_is_about_the_provider_and_id_it_names(
    database: Database, provider: str | None, provider_message_id: str, kind: Kind, joined: bool
) -> None:
    write(database, message(kind, provider=provider, provider_message_id=provider_message_id))
    write(database, report("bounced"))
    (row,) = read_all(database, kind)
    assert row.status == ("bounced" if joined else "sent")
    assert count_waiting(database) == (0 if joined else 1)


def test_report_goes_before_what_the_sender_says_later(database: Database) -> None:
    """A provider may report before it has answered; a call that timed out may have been delivered."""
    event_id = str(uuid.uuid4())
    write(database, sent(event_id=event_id, status="pending"), report("failed"))
    write(database, RowWrite("email", sent(event_id=event_id, status="sent").values, amends=True))
    assert read_all(database, "email")[0].status == "failed"
    write(database, sent(provider_message_id="m-2", status="failed"))
    write(database, report("delivered", provider_message_id="m-2"))
    assert read_all(database, "email")[1].status == "delivered"
    assert_totals_match(database)


def test_sweep_of_pending_messages_leaves_what_was_reported(database: Database) -> None:
    write(database, sent(status="pending"), report("sent"), sent(provider_message_id="m-2", status="pending"))
    assert expire_pending(database, older_than=timedelta(seconds=-60)) == 1
    assert [row.status for row in read_all(database, "email")] == ["sent", "unknown"]


def test_many_reports_in_one_batch_with_their_rows(database: Database) -> None:
    ids = [f"m-{number}" for number in range(700)]
    write(database, *(report("delivered", provider_message_id=each, detail="ağ " * 50) for each in ids))
    write(database, *(sent(provider_message_id=each) for each in ids))
    rows = read_all(database, "email")
    assert {row.status for row in rows} == {"delivered"}
    assert sorted(row.position for row in rows) == list(range(701, 1401))
    assert count_waiting(database) == 0
    assert_totals_match(database)


LINES = st.builds(
    Reported,
    st.sampled_from(sorted(REPORT_RANK)),
    st.integers(0, 5).map(lambda minute: NOW + timedelta(minutes=minute)),
    st.sampled_from([None, "", *(str(number) for number in range(8))]),
)


@given(st.lists(LINES, min_size=1, max_size=60), st.sampled_from(sorted(STATUS_RANK)), st.randoms())
def test_order_and_repetition_of_reports_never_matter(lines: list[Reported], status: str, random: Any) -> None:
    """However they are ordered, repeated and cut into batches: one history, one status."""
    whole = add_to_history(None, lines)
    mixed = lines + random.choices(lines, k=len(lines))
    random.shuffle(mixed)
    history, reached = None, status
    while mixed:
        size = random.randint(1, 5)
        batch, mixed = mixed[:size], mixed[size:]
        history = add_to_history(history, batch)
        reached = settle_status(reached, history)
    assert history == whole
    assert reached == settle_status(status, whole)
    kept = read_history(whole)
    assert len(kept) <= MOST_REPORTS and kept == sorted(kept, key=lambda line: line.occurred_at)
