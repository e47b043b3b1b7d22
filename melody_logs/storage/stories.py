"""The story of a flow: the entries of all logs that have one flow id, in the order in which they happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Select, bindparam, select

from ..vocabulary import Kind
from .database import Database
from .models import TABLES

#: A story has no more entries; the first ones are read.
MOST_ENTRIES = 100
_LONGEST_FLOW_ID = 128


@dataclass(frozen=True, slots=True)
class Story:
    """Entries with their kinds, the oldest first; *is_complete* says whether these are all."""

    entries: tuple[tuple[Kind, Row[Any]], ...] = ()
    is_complete: bool = True


def read_story(database: Database, flow_id: str, columns: Mapping[Kind, Sequence[str]]) -> Story:
    """Read the first hundred entries of a flow, by one query a log that an index answers.

    :param columns: the logs to read, and the columns to read of each; ``id`` and ``occurred_at`` must be among them.
    """
    if not flow_id or len(flow_id) > _LONGEST_FLOW_ID or "\x00" in flow_id:
        return Story()
    found: list[tuple[Kind, Row[Any]]] = []
    values = {"wanted": flow_id, "most_rows": MOST_ENTRIES + 1}
    with database.read() as connection:
        for kind, names in columns.items():
            rows = connection.execute(_statement(kind, tuple(names)), values)
            found += [(kind, row) for row in rows]
    found.sort(key=lambda entry: (entry[1].occurred_at, entry[0], entry[1].id))
    return Story(tuple(found[:MOST_ENTRIES]), len(found) <= MOST_ENTRIES)


@lru_cache(16)
def _statement(kind: Kind, names: tuple[str, ...]) -> Select[Any]:
    table = TABLES[kind].alias("log")
    of_flow = select(*[table.c[name] for name in names]).where(table.c.flow_id == bindparam("wanted"))
    return of_flow.order_by(table.c.id).limit(bindparam("most_rows"))
