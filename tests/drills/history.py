"""What the clients noted, and what the tables say to it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, literal, select

from melody_logs.storage.database import Database
from melody_logs.storage.models import MODELS, EmailLog, SignInLog
from melody_logs.vocabulary import Kind


@dataclass(slots=True)
class History:
    """Acknowledged ids by kind, how often each, and how many entries were asked for in all.

    An entry of the kind ``hook`` has no id in its answer: it is known by its identity.
    """

    acked: dict[str, Counter[str]] = field(default_factory=lambda: {"sign-in": Counter(), "email": Counter()})
    hooks: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    #: Guesses that were not answered, by account; an account all of whose guesses were answered has none.
    unanswered_guesses: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    unanswered_requests: int = 0

    @property
    def acks(self) -> int:
        """All that was acknowledged."""
        return sum(self.acked["sign-in"].values()) + sum(self.acked["email"].values()) + self.hooks.total()

    @property
    def folded_acks(self) -> int:
        """How many acknowledgements name a row that others name too: repeated failures, counted in one row."""
        return sum(times for times in self.acked["sign-in"].values() if times > 1)

    def surplus_allowed(self, kind: Kind) -> int:
        """How many entries may be there without an acknowledgement: those that were asked for and not answered."""
        if kind == "email":
            return self.asked["email"] - self.acked["email"].total()
        return self.asked["sign-in"] + self.asked["hook"] - self.acked["sign-in"].total() - self.hooks.total()


def read_history(notes: Iterable[Path]) -> History:
    """Read what the clients noted."""
    history = History()
    for path in notes:
        for line in path.read_text().splitlines():
            note = json.loads(line)
            history.asked[note["kind"]] += note.get("asked", 0)
            history.unanswered_requests += "unanswered" in note
            ids = note.get("ids", [])
            if account := note.get("account"):
                history.unanswered_guesses[account] += note.get("asked", 0) - len(ids)
            history.refused += ids.count(None)
            counter = history.hooks if note["kind"] == "hook" else history.acked[note["kind"]]
            counter.update(event_id for event_id in ids if event_id is not None)
    return history


@dataclass(frozen=True, slots=True)
class Comparison:
    """Acknowledged entries that are missing, entries that are there twice, and those that nobody acknowledged.

    ``miscounted`` are guesses at an account that are counted beyond those that were answered or may have been made.
    """

    missing: int
    doubled: int
    miscounted: int
    surplus: int
    surplus_allowed: int
    unsent_mails: int
    repeated_positions: int

    def is_clean(self) -> bool:
        """Say whether nothing is lost and nothing is doubled."""
        return not (self.missing or self.doubled or self.miscounted or self.unsent_mails or self.repeated_positions)


def compare(database: Database, history: History) -> Comparison:
    """Compare the tables with what was noted.

    An id may be acknowledged often, if repeated attempts are counted in one row: then the row must count as many.
    """
    missing = doubled = surplus = unsent = 0
    for kind in ("sign-in", "email"):
        rows, counted = _count_rows(database, kind)
        doubled += sum(count - 1 for count in rows.values())
        acked = history.acked[kind]
        missing += sum(max(0, times - counted[event_id]) for event_id, times in acked.items())
        for event_id, times in acked.items():
            if counted[event_id] < times:
                print(f"{kind} {event_id}: acknowledged {times} times, counted {counted[event_id]}")
        surplus += counted.total() - acked.total()
    hooks, sent = _count_hooks(database), _sent_mails(database)
    missing += (history.hooks - hooks).total()
    doubled += sum(max(0, count - 1) for count in hooks.values())
    unsent = sum(event_id not in sent for event_id in history.acked["email"])
    return Comparison(
        missing=missing,
        doubled=doubled,
        miscounted=_count_miscounted(database, history),
        surplus=surplus - history.hooks.total(),
        surplus_allowed=history.surplus_allowed("sign-in") + history.surplus_allowed("email"),
        unsent_mails=unsent,
        repeated_positions=_count_repeated_positions(database),
    )


def _count_rows(database: Database, kind: Kind) -> tuple[Counter[str], Counter[str]]:
    """Count, by event id, the rows and the entries that they stand for."""
    table: Any = MODELS[kind].__table__
    folded: Any = func.coalesce(table.c.folded_count, 1) if "folded_count" in table.c else literal(1)
    rows, counted = Counter[str](), Counter[str]()
    with database.read() as connection:
        for event_id, count in connection.execute(select(table.c.event_id, folded)):
            rows[event_id] += 1
            counted[event_id] += count
    return rows, counted


def _count_miscounted(database: Database, history: History) -> int:
    """Hold each account that was guessed at against its own unanswered guesses, so that no other's can hide a count."""
    surplus = Counter[str]()
    with database.read() as connection:
        rows: Any = select(SignInLog.identity, SignInLog.event_id, func.coalesce(SignInLog.folded_count, 1))
        for identity, event_id, count in connection.execute(rows):
            if identity in history.unanswered_guesses:
                surplus[identity] += count - history.acked["sign-in"][event_id]
    for account, count in (surplus - history.unanswered_guesses).items():
        print(f"{account}: {count} guesses are counted more than once")
    return (surplus - history.unanswered_guesses).total()


def _count_hooks(database: Database) -> Counter[str]:
    with database.read() as connection:
        found = connection.scalars(select(SignInLog.identity).where(SignInLog.endpoint == "login"))
        return Counter(identity for identity in found if identity is not None)


def _sent_mails(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.scalars(select(EmailLog.event_id).where(EmailLog.status == "sent")))


def _count_repeated_positions(database: Database) -> int:
    repeated = 0
    with database.read() as connection:
        for model in MODELS.values():
            table: Any = model.__table__
            rows, distinct = connection.execute(select(func.count(), func.count(func.distinct(table.c.position)))).one()
            repeated += rows - distinct
    return repeated
