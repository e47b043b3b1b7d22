"""Taking over the logs of a Melody Auth database: resumable, and each row once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..recording.imported import build_imported, name_event
from ..recording.poison import ReadEntry, Rejection, write_what_passes
from ..recording.seams import Seams
from ..settings import Settings
from ..storage.database import Database
from ..storage.melody_auth import MelodyAuthDatabase, SourceRow
from ..storage.progress import move_import_mark, name_import_mark, read_import_marks
from ..storage.writer import find_known_events
from ..vocabulary import Kind

#: So many rows that were set aside are named in a receipt; all are counted.
MOST_NAMED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """What an import of a kind has before it: *new* rows above ``after_id``, after *passed* ones of earlier runs."""

    kind: Kind
    new: int
    new_deleted: int
    passed: int
    after_id: int | None
    last_id: int | None
    #: The name of the place where the last run ended; None for a source that is not known.
    mark: str | None


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row that could not be imported: its id in the source, and why."""

    id: int
    reason: str


@dataclass(slots=True)
class ImportReceipt:
    """What an import of a kind did with the rows that it read."""

    kind: Kind
    read: int = 0
    imported: int = 0
    #: Rows that are in the log already.
    already_there: int = 0
    #: Rows that are marked as deleted in the source.
    deleted: int = 0
    #: Rows that the host's ``exclude`` leaves out.
    excluded: int = 0
    set_aside: int = 0
    set_aside_rows: list[SetAside] = field(default_factory=list)
    #: A transaction that was open before the import, and stayed so, may add rows below the last id that was read.
    may_lack_rows: bool = False

    def add_set_aside(self, rejections: Sequence[Rejection]) -> None:
        """Count the rejected rows, and name them while there is room."""
        self.set_aside += len(rejections)
        room = MOST_NAMED - len(self.set_aside_rows)
        self.set_aside_rows += [SetAside(rejection.number, rejection.describe()) for rejection in rejections[:room]]


def plan_import(database: Database, source: MelodyAuthDatabase, kind: Kind) -> ImportPlan:
    """Find out where the last run ended, and count what is new.

    A source is known again by the last row that was imported from it, not by its address: a moved database and a newer
    export of it go on where the last run ended.
    """
    with database.read() as connection:
        marks = read_import_marks(connection, kind)
    after_id, mark = None, None
    for row in source.find_rows(kind, sorted(set(marks.values()))):
        name = name_import_mark(kind, name_event(kind, row))
        if name in marks and (after_id is None or row.id > after_id):
            after_id, mark = row.id, name
    total = source.count(kind)
    new = source.count(kind, after_id=after_id) if after_id is not None else total
    return ImportPlan(
        kind=kind,
        new=new.rows,
        new_deleted=new.deleted,
        passed=total.rows - new.rows,
        after_id=after_id,
        last_id=new.last_id,
        mark=mark,
    )


def run_import(
    database: Database,
    source: MelodyAuthDatabase,
    plan: ImportPlan,
    settings: Settings,
    seams: Seams,
    *,
    on_progress: Callable[[ImportReceipt], None] = lambda receipt: None,
) -> ImportReceipt:
    """Import the new rows of a kind, batch by batch, each with its place in the source in one transaction.

    Stopped at any moment, it goes on where it was. Rows that are in the log already, as from an import of a copy of
    the source, are left out. A row that cannot be imported is set aside and counted.

    :param on_progress: called after each batch.
    :raise ImportSourceError: if the source cannot be read.
    """
    receipt = ImportReceipt(plan.kind)
    after_id, mark = plan.after_id, plan.mark
    if plan.last_id is not None:
        receipt.may_lack_rows = not source.wait_for_writers()
    while plan.last_id is not None:
        batch = source.read_batch(plan.kind, after_id=after_id, last_id=plan.last_id)
        if not batch:
            break
        mark = _import_batch(database, source, batch, mark, settings, seams, receipt)
        after_id = batch[-1].id
        on_progress(receipt)
    return receipt


def _import_batch(
    database: Database,
    source: MelodyAuthDatabase,
    batch: Sequence[SourceRow],
    mark: str | None,
    settings: Settings,
    seams: Seams,
    receipt: ImportReceipt,
) -> str:
    """Write one batch; return the name of the place that the source is imported to now."""
    kind = receipt.kind
    with database.read() as connection:
        now = database.now(connection)
    # Before the lock: redaction takes longer than writing, and others want to write.
    present = [row for row in batch if not row.is_deleted]
    entries, unreadable = _build_entries(source, kind, present, now, settings, seams)
    following = name_import_mark(kind, name_event(kind, batch[-1]))
    with database.write() as connection:
        now = database.now(connection)
        move_import_mark(connection, mark, following, batch[-1].id, now)
        known = find_known_events(connection, kind, [entry.event_id for entry in entries])
        fresh = [entry for entry in entries if entry.event_id not in known]
        rejected = write_what_passes(connection, now, fresh) if fresh else []
    receipt.read += len(batch)
    receipt.deleted += len(batch) - len(present)
    receipt.excluded += len(present) - len(entries) - len(unreadable)
    receipt.already_there += len(entries) - len(fresh)
    receipt.imported += len(fresh) - len(rejected)
    receipt.add_set_aside([*unreadable, *rejected])
    return following


def _build_entries(
    source: MelodyAuthDatabase,
    kind: Kind,
    rows: Sequence[SourceRow],
    now: datetime,
    settings: Settings,
    seams: Seams,
) -> tuple[list[ReadEntry], list[Rejection]]:
    entries: list[ReadEntry] = []
    unreadable: list[Rejection] = []
    for row in rows:
        try:
            built = build_imported(kind, row, zone=source.time_zone, now=now, settings=settings, seams=seams)
        except Exception as error:  # whatever it is, the others must pass
            # Its message may quote the row.
            unreadable.append(Rejection(row.id, ValueError(f"it cannot be read ({type(error).__name__})")))
        else:
            if built is not None:
                entries.append(ReadEntry(row.id, built))
    return entries, unreadable
