"""Entries as they were handed to the spool: cleaned, limited and redacted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from ..recording.entries import Entry, from_json, to_json, to_row
from ..storage.merging import merge_values
from ..storage.models import TABLES
from ..vocabulary import Kind
from .leaks import Leak, Secret, find_leaks


class RecordedEntry:
    """One event, with what its phases said joined as in its row; each column is an attribute, such as ``receiver``."""

    def __init__(self, kind: Kind, event_id: str, values: Mapping[str, Any]) -> None:
        self.kind = kind
        self.event_id = event_id
        self.values = dict(values)

    def __getattr__(self, name: str) -> Any:
        """Give the value of a column; None where the entry says nothing.

        :raise AttributeError: if the table of this kind has no such column.
        """
        if name.startswith("__") or name not in TABLES[self.kind].c:
            known = ", ".join(sorted(TABLES[self.kind].c.keys()))
            raise AttributeError(f'an entry of kind "{self.kind}" has no "{name}"; it has {known}')
        return self.values.get(name)

    def __repr__(self) -> str:
        said = self.values.get("status") or self.values.get("outcome")
        return f"<{self.kind} {said} {self.event_id}>"


class RecordedEntries:
    """What was recorded since the fixture was made, oldest first; nothing needs to be waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._written: list[Entry] = []
        self._joined: dict[str, RecordedEntry] = {}
        self._secrets: list[Secret] = []

    def add(self, entry: Entry) -> None:
        """Take an entry that was appended to the spool, as it would be read from there."""
        copy = from_json(to_json(entry))
        with self._lock:
            self._written.append(copy)
            before = self._joined.get(copy.event_id)
            values = to_row(copy).values
            values = merge_values(copy.kind, before.values, values) if before else values
            self._joined[copy.event_id] = RecordedEntry(copy.kind, copy.event_id, values)

    @property
    def all(self) -> list[RecordedEntry]:
        """Every event, in the order in which they were first recorded."""
        with self._lock:
            return list(self._joined.values())

    @property
    def emails(self) -> list[RecordedEntry]:
        """The emails."""
        return self._of_kind("email")

    @property
    def texts(self) -> list[RecordedEntry]:
        """The text messages."""
        return self._of_kind("sms")

    @property
    def sign_ins(self) -> list[RecordedEntry]:
        """The sign-in attempts and what belongs to them."""
        return self._of_kind("sign-in")

    @property
    def last(self) -> RecordedEntry:
        """The event that came last.

        :raise AssertionError: if nothing was recorded.
        """
        found = self.all
        assert found, "nothing was recorded: is the kind enabled, such as MELODY_LOGS_ENABLE_EMAIL_LOG = True?"
        return found[-1]

    def __len__(self) -> int:
        return len(self.all)

    def __iter__(self) -> Iterator[RecordedEntry]:
        return iter(self.all)

    def clear(self) -> None:
        """Forget what was recorded so far; its secrets are looked for all the same."""
        with self._lock:
            self._joined.clear()

    def knows_secret(self, *values: str) -> None:
        """Let the test fail at its end if anything that was recorded holds one of these codes, links or tokens.

        They are looked for as they are, percent-encoded, HTML-escaped, in base64 and in quoted-printable; also in what
        was recorded before this call.

        :raise ValueError: for a value of less than four characters, which would be found by chance.
        """
        self._secrets += [Secret(value, len(self._secrets) + number) for number, value in enumerate(values, 1)]

    def find_leaks(self) -> list[Leak]:
        """Find the secrets that are readable in what was recorded."""
        with self._lock:
            written = list(self._written)
        return find_leaks(written, self._secrets)

    def explain_leaks(self) -> str | None:
        """Say where secrets are readable, without naming them; None if all is well."""
        leaks = self.find_leaks()
        if not leaks:
            return None
        lines = "\n".join(f"  {leak}" for leak in leaks)
        return (
            f"melody_logs stores secrets that this test knows:\n{lines}\n"
            "Hand them over as secrets=[...] to record_email(), record_sms(), sending_email() or sending_sms(), or "
            "leave the field out in @logs.transform. Secrets are numbered in the order of knows_secret()."
        )

    def _of_kind(self, kind: Kind) -> list[RecordedEntry]:
        return [entry for entry in self.all if entry.kind == kind]
