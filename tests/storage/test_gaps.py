"""What was lost, as it stands in the table of the gaps."""

from __future__ import annotations

from datetime import timedelta

import pytest

from melody_logs.storage.database import Database
from melody_logs.storage.progress import ONE_GAP, GapCount, list_gaps, write_gaps
from tests.storage.rows import NOW, make_database

SECOND = timedelta(seconds=1)


@pytest.fixture
def database(database_url: str) -> Database:
    return make_database(database_url)


def tell(database: Database, second: int, lost: int = 1, *, kind: str = "sms", spool: str = "one") -> None:
    """Tell of entries that a process lost within half a second."""
    first_at = NOW + second * SECOND
    with database.write() as connection:
        write_gaps(connection, NOW, spool, [GapCount(kind, lost, first_at, first_at + SECOND / 2)])


def gaps_of(database: Database) -> list[GapCount]:
    with database.read() as connection:
        return list_gaps(connection, 50)[::-1]


def test_losses_that_go_on_are_one_gap(database: Database) -> None:
    for second in range(30):
        tell(database, second, lost=2)
    assert gaps_of(database) == [GapCount("sms", 60, NOW, NOW + 29.5 * SECOND)]


def test_what_was_told_already_is_not_added_again(database: Database) -> None:
    """A commit whose answer was lost is told a second time, also where it made a gap longer."""
    for second in (0, 0, 1, 1, 2):
        tell(database, second)
    assert [gap.lost for gap in gaps_of(database)] == [3]


def test_losses_after_a_pause_or_before_a_clock_that_went_back_are_another_gap(database: Database) -> None:
    later = ONE_GAP // SECOND + 2
    for second in (0, later, later - 60):
        tell(database, second)
    assert [gap.lost for gap in gaps_of(database)] == [1, 1, 1]
    assert all(gap.first_at < gap.last_at for gap in gaps_of(database))


def test_processes_and_kinds_have_gaps_of_their_own(database: Database) -> None:
    for second in range(3):
        tell(database, second)
        tell(database, second, kind="email")
        tell(database, second, spool="two")
    assert [(gap.kind, gap.lost) for gap in gaps_of(database)] == [("sms", 3), ("email", 3), ("sms", 3)]
