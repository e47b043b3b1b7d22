"""Reading the logs: pages, single rows and exact counts, for the admin pages and the API alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from ..vocabulary import Kind
from .database import Database
from .models import TABLES, Total

#: Names of columns; None for all there are.
Columns = tuple[str, ...] | None
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
    columns: Columns = None,
) -> Page:
    """Read page *page_number* (from 1) of *page_size* rows.

    The ids are walked in the index alone and joined to their rows at the end, so that a page far down reads no row that
    it does not show. Page 1 and its count come in one answer.

    :param columns: the columns to read; None for all.
    """
    shape = _Shape(kind, filters, with_content, columns)
    offset = (page_number - 1) * page_size
    with database.read() as connection:
        if offset == 0:
            # Nothing to walk past: half of the time would go into planning the join.
            rows = connection.execute(_first_page_statement(shape), {"most_rows": page_size}).all()
            return Page(rows, int(rows[0].all_rows) if rows else _count(connection, kind, filters))
        count = _count(connection, kind, filters)
        if offset >= count:
            return Page((), count)
        values = {"page_size": page_size, "page_offset": offset}
        return Page(connection.execute(_page_statement(shape), values).all(), count)


def page_before(
    database: Database,
    kind: Kind,
    *,
    before_id: int | None = None,
    limit: int,
    filters: Filters = SIGN_INS_ONLY,
    with_content: bool = True,
    columns: Columns = None,
) -> Slice:
    """Read the newest *limit* rows with an id below *before_id*: as fast at any depth."""
    values = {"before_id": LARGEST_ID if before_id is None else before_id, "most_rows": limit + 1}
    statement = _slice_statement(_Shape(kind, filters, with_content, columns))
    with database.read() as connection:
        rows = connection.execute(statement, values).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return Slice(rows, rows[-1].id if more else None)


def find(database: Database, kind: Kind, row_id: int, *, columns: Columns = None) -> Row[Any] | None:
    """Read one row by its id, of any event; None if there is none."""
    if not 0 < row_id <= LARGEST_ID:
        return None
    statement = _find_statement(_Shape(kind, SIGN_INS_ONLY, True, columns))
    with database.read() as connection:
        return connection.execute(statement, {"row_id": row_id}).first()


def count_rows(database: Database, kind: Kind, filters: Filters = SIGN_INS_ONLY) -> int:
    """Count the matching rows exactly, from the totals."""
    with database.read() as connection:
        return _count(connection, kind, filters)


def _count(connection: Connection, kind: Kind, filters: Filters) -> int:
    return int(connection.execute(_count_statement(kind, filters)).scalar_one())


class _Shape(NamedTuple):
    """What a statement depends on."""

    kind: Kind
    filters: Filters
    with_content: bool
    columns: Columns

    def select(self) -> tuple[Any, Select[Any]]:
        """Give the table and the SELECT of its rows."""
        # A short name: each column is written with it, and the database reads that each time.
        table = TABLES[self.kind].alias("log")
        names = self.columns or table.c.keys()
        return table, select(*[table.c[name] for name in names if self.with_content or name != "content"])


# Statements are built once: building one costs as much as running it.
@lru_cache(64)
def _first_page_statement(shape: _Shape) -> Select[Any]:
    table, rows = shape.select()
    count = _count_statement(shape.kind, shape.filters).scalar_subquery()
    newest = _matching(rows.add_columns(count.label("all_rows")), table, shape.kind, shape.filters)
    return newest.order_by(table.c.id.desc()).limit(bindparam("most_rows"))


@lru_cache(64)
def _page_statement(shape: _Shape) -> Select[Any]:
    table, rows = shape.select()
    numbered = TABLES[shape.kind].alias("numbered")
    walked = _matching(select(numbered.c.id), numbered, shape.kind, shape.filters).order_by(numbered.c.id.desc())
    ids = walked.limit(bindparam("page_size")).offset(bindparam("page_offset")).subquery()
    return rows.join(ids, ids.c.id == table.c.id).order_by(table.c.id.desc())


@lru_cache(64)
def _slice_statement(shape: _Shape) -> Select[Any]:
    table, rows = shape.select()
    below = _matching(rows, table, shape.kind, shape.filters).where(table.c.id < bindparam("before_id"))
    return below.order_by(table.c.id.desc()).limit(bindparam("most_rows"))


@lru_cache(64)
def _find_statement(shape: _Shape) -> Select[Any]:
    table, rows = shape.select()
    return rows.where(table.c.id == bindparam("row_id"))


@lru_cache(64)
def _count_statement(kind: Kind, filters: Filters) -> Select[Any]:
    table: Any = Total.__table__.alias("total")
    statement = select(func.coalesce(func.sum(table.c.row_count), 0)).where(table.c.kind == kind)
    return _matching(statement, table, kind, filters)


def _matching(statement: Select[Any], table: Any, kind: Kind, filters: Filters) -> Select[Any]:
    if kind != "sign-in" or filters.events is None:
        return statement
    if len(filters.events) == 1:
        # An equality lets the index on (event, id) give the order; a list of one would not.
        return statement.where(table.c.event == filters.events[0])
    return statement.where(table.c.event.in_(filters.events))
