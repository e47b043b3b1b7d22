"""Reading the logs: pages, single rows and exact counts, for the admin pages and the API alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select

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
    table = TABLES[kind]
    offset = (page_number - 1) * page_size
    with database.read() as connection:
        count = int(connection.execute(_count_statement(kind, filters)).scalar_one())
        if offset >= count:
            return Page((), count)
        numbered = _matching(select(table.c.id), table, kind, filters).order_by(table.c.id.desc())
        ids = numbered.limit(page_size).offset(offset).subquery()
        rows = connection.execute(
            select(*_columns(table, with_content)).join(ids, ids.c.id == table.c.id).order_by(table.c.id.desc())
        ).all()
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
    table = TABLES[kind]
    statement = _matching(select(*_columns(table, with_content)), table, kind, filters)
    if before_id is not None:
        statement = statement.where(table.c.id < before_id)
    with database.read() as connection:
        rows = connection.execute(statement.order_by(table.c.id.desc()).limit(limit + 1)).all()
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


def _columns(table: Any, with_content: bool) -> list[Any]:
    return [column for column in table.columns if with_content or column.name != "content"]


def _matching(statement: Select[Any], table: Any, kind: Kind, filters: Filters) -> Select[Any]:
    if kind != "sign-in" or filters.events is None:
        return statement
    if len(filters.events) == 1:
        # An equality lets the index on (event, id) give the order; a list of one would not.
        return statement.where(table.c.event == filters.events[0])
    return statement.where(table.c.event.in_(filters.events))


def _count_statement(kind: Kind, filters: Filters) -> Select[Any]:
    table: Any = Total.__table__
    statement = select(func.coalesce(func.sum(table.c.row_count), 0)).where(table.c.kind == kind)
    if kind == "sign-in" and filters.events is not None:
        statement = statement.where(table.c.event.in_(filters.events))
    return statement
