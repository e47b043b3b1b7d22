"""Reading the logs: pages, single rows and exact counts, for the admin pages and the API alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from ..vocabulary import Kind
from .database import Database
from .models import TABLES, Total

#: The largest id that the databases hold.
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list shows. ``events`` applies to sign-ins: the events to show, or None for all."""

    events: tuple[str, ...] | None = ("sign_in",)


#: What lists and counts show unless asked for more.
SIGN_INS_ONLY = Filters()


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a numbered page, newest first, and the number of all matching rows."""

    rows: Sequence[Row[Any]]
    count: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows newest first, and the id to go on before; None at the end."""

    rows: Sequence[Row[Any]]
    next_before_id: int | None


def page_by_number(
    database: Database,
    kind: Kind,
    *,
    page_number: int,
    page_size: int,
    filters: Filters = SIGN_INS_ONLY,
    with_content: bool = True,
) -> Page:
    """Read page *page_number* (from 1) of *page_size* rows.

    The ids are walked in the index alone and joined to their rows at the end, so that a page far down reads no row that
    it does not show.
    """
    offset = (page_number - 1) * page_size
    with database.read() as connection:
        count = int(connection.execute(_count_statement(kind, filters)).scalar_one())
        if offset >= count:
            return Page((), count)
        if offset == 0:
            # Nothing to walk past: half of the time would go into planning the join.
            return Page(_read_slice(connection, kind, None, page_size, filters, with_content), count)
        statement = _page_statement(kind, filters, with_content)
        rows = connection.execute(statement, {"page_size": page_size, "page_offset": offset}).all()
    return Page(rows, count)


def page_before(
    database: Database,
    kind: Kind,
    *,
    before_id: int | None = None,
    limit: int,
    filters: Filters = SIGN_INS_ONLY,
    with_content: bool = True,
) -> Slice:
    """Read the newest *limit* rows with an id below *before_id*: as fast at any depth."""
    with database.read() as connection:
        rows = _read_slice(connection, kind, before_id, limit + 1, filters, with_content)
    more = len(rows) > limit
    rows = rows[:limit]
    return Slice(rows, rows[-1].id if more else None)


def find(database: Database, kind: Kind, row_id: int, *, with_content: bool = True) -> Row[Any] | None:
    """Read one row by its id, of any event; None if there is none."""
    if not 0 < row_id <= LARGEST_ID:
        return None
    table = TABLES[kind]
    with database.read() as connection:
        return connection.execute(select(*_columns(table, with_content)).where(table.c.id == row_id)).first()


def count_rows(database: Database, kind: Kind, filters: Filters = SIGN_INS_ONLY) -> int:
    """Count the matching rows exactly, from the totals."""
    with database.read() as connection:
        return int(connection.execute(_count_statement(kind, filters)).scalar_one())


def _read_slice(
    connection: Connection, kind: Kind, before_id: int | None, limit: int, filters: Filters, with_content: bool
) -> Sequence[Row[Any]]:
    values = {"before_id": LARGEST_ID if before_id is None else before_id, "most_rows": limit}
    return connection.execute(_slice_statement(kind, filters, with_content), values).all()


# Statements are built once: building one costs as much as running it.
@lru_cache(64)
def _page_statement(kind: Kind, filters: Filters, with_content: bool) -> Select[Any]:
    table = TABLES[kind]
    numbered = _matching(select(table.c.id), table, kind, filters).order_by(table.c.id.desc())
    ids = numbered.limit(bindparam("page_size")).offset(bindparam("page_offset")).subquery()
    return select(*_columns(table, with_content)).join(ids, ids.c.id == table.c.id).order_by(table.c.id.desc())


@lru_cache(64)
def _slice_statement(kind: Kind, filters: Filters, with_content: bool) -> Select[Any]:
    table = TABLES[kind]
    matching = _matching(select(*_columns(table, with_content)), table, kind, filters)
    below = matching.where(table.c.id < bindparam("before_id"))
    return below.order_by(table.c.id.desc()).limit(bindparam("most_rows"))


def _columns(table: Any, with_content: bool) -> list[Any]:
    return [column for column in table.columns if with_content or column.name != "content"]


def _matching(statement: Select[Any], table: Any, kind: Kind, filters: Filters) -> Select[Any]:
    if kind != "sign-in" or filters.events is None:
        return statement
    if len(filters.events) == 1:
        # An equality lets the index on (event, id) give the order; a list of one would not.
        return statement.where(table.c.event == filters.events[0])
    return statement.where(table.c.event.in_(filters.events))


@lru_cache(64)
def _count_statement(kind: Kind, filters: Filters) -> Select[Any]:
    table: Any = Total.__table__
    statement = select(func.coalesce(func.sum(table.c.row_count), 0)).where(table.c.kind == kind)
    if kind == "sign-in" and filters.events is not None:
        statement = statement.where(table.c.event.in_(filters.events))
    return statement
