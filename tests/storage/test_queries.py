"""Reading: pages by number and by id, exact counts, single rows."""

from __future__ import annotations

import pytest

from melody_logs.storage.database import Database
from melody_logs.storage.queries import Filters, count_rows, find, page_before, page_by_number
from tests.storage.rows import make_database, message, sign_in, write


@pytest.fixture
def database(database_url: str) -> Database:
    database = make_database(database_url)
    write(database, *(sign_in(identity=f"user{number}@example.org") for number in range(25)))
    write(database, sign_in(event="sign_out"), sign_in(event="token_refresh"))
    write(database, message(content="body", subject="Hello"))
    return database


def test_numbered_pages_show_every_row_once_newest_first(database: Database) -> None:
    pages = [page_by_number(database, "sign-in", page_number=number, page_size=10) for number in (1, 2, 3, 4)]
    identities = [row.identity for page in pages for row in page.rows]
    assert identities == [f"user{number}@example.org" for number in reversed(range(25))]
    assert {page.count for page in pages} == {25}
    assert page_by_number(database, "sign-in", page_number=2**62, page_size=500).rows == ()


def test_following_the_cursor_shows_every_row_once(database: Database) -> None:
    identities, before_id = [], None
    while True:
        part = page_before(database, "sign-in", before_id=before_id, limit=10)
        identities += [row.identity for row in part.rows]
        before_id = part.next_before_id
        if before_id is None:
            break
    assert identities == [f"user{number}@example.org" for number in reversed(range(25))]


def test_other_events_are_shown_when_asked_for(database: Database) -> None:
    assert count_rows(database, "sign-in") == 25
    assert count_rows(database, "sign-in", Filters(events=None)) == 27
    both = Filters(events=("sign_out", "token_refresh"))
    page = page_by_number(database, "sign-in", page_number=1, page_size=10, filters=both)
    assert [row.event for row in page.rows] == ["token_refresh", "sign_out"]
    assert page.count == 2


def test_bodies_are_left_out_when_not_wanted(database: Database) -> None:
    (row,) = page_before(database, "email", limit=5, with_content=False).rows
    assert not hasattr(row, "content")
    assert row.subject == "Hello"
    found = find(database, "email", row.id)
    assert found is not None and found.content == "body"


@pytest.mark.parametrize("row_id", [0, -1, 10**6, 2**63])
def test_unknown_ids_find_nothing(database: Database, row_id: int) -> None:
    assert find(database, "sign-in", row_id) is None
