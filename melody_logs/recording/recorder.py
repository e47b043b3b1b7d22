"""The one way into the logs: every signal, hook and method ends here, and no exception leaves it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blinker import NamedSignal
from flask import current_app, has_app_context, has_request_context

from ..settings import Settings
from ..signals import entry_recorded, logs_degraded
from ..vocabulary import EVENTS, Kind
from .attempts import Attempt, current_attempts, take_attempts
from .drain_thread import DrainThread
from .entries import Entry, build_message, build_sign_in, to_json
from .request_facts import read_request_facts
from .seams import Seams
from .spool import Spool

logger = logging.getLogger("melody_logs")


@dataclass(slots=True)
class Recorder:
    """Turns facts into entries and appends them to the spool.

    ``failures`` counts what went wrong inside melody_logs itself, by kind; such an entry is lost, and health says so.
    """

    settings: Settings
    seams: Seams
    spool: Spool
    drain_thread: DrainThread
    derive_key: Callable[[str], bytes]
    direct: bool
    failures: dict[str, int] = field(default_factory=dict)
    is_degraded: bool = False

    def record_sign_in(self, fields: dict[str, Any]) -> str | None:
        """Record an attempt now. A signal or hook that sees it later in the request amends the same entry."""
        if not self.settings.enable_sign_in_log:
            return None
        attempt = current_attempts().setdefault(_event_of(fields), Attempt())
        if attempt.event_id is not None:
            # A second explicit record in one request is an attempt of its own.
            attempt = current_attempts()[_event_of(fields)] = Attempt()
        attempt.add(fields, only_missing=False)
        return self._write_attempt(attempt)

    def note_sign_in(self, fields: dict[str, Any], *, only_missing: bool = False) -> str | None:
        """Add what a signal or hook saw; inside a request it is recorded when the request ends."""
        if not self.settings.enable_sign_in_log:
            return None
        if not has_request_context():
            return self.record_sign_in(fields)
        attempt = current_attempts().setdefault(_event_of(fields), Attempt())
        attempt.add(fields, only_missing=only_missing or attempt.event_id is not None)
        return attempt.event_id

    def finish_request(self) -> None:
        """Record what this request gathered."""
        for attempt in take_attempts().values():
            if attempt.event_id is None or attempt.news:
                self._write_attempt(attempt)

    def record_message(
        self, kind: Kind, fields: dict[str, Any], *, event_id: str | None = None, amends: bool = False
    ) -> str | None:
        """Record an email or SMS, or, with the *event_id* of an earlier entry, what became of it."""
        if not self.settings.is_enabled(kind):
            return None

        def build(fields: Mapping[str, Any]) -> Entry:
            facts = read_request_facts(self.settings)
            return build_message(kind, fields, facts=facts, settings=self.settings, event_id=event_id, amends=amends)

        return self._record(kind, fields, build)

    def _write_attempt(self, attempt: Attempt) -> str | None:
        amends = attempt.event_id is not None

        def build(fields: Mapping[str, Any]) -> Entry:
            facts = read_request_facts(self.settings)
            key = self.derive_key("identity")
            if fields.get("user_id") is not None and fields.get("account_known") is None:
                fields = {**fields, "account_known": True}
            return build_sign_in(fields, facts=facts, key=key, event_id=attempt.event_id, amends=amends)

        event_id = self._record("sign-in", attempt.fields, build)
        if event_id is not None:
            attempt.event_id = event_id
            attempt.written = dict(attempt.fields)
        return event_id

    def _record(self, kind: Kind, fields: dict[str, Any], build: Callable[[Mapping[str, Any]], Entry]) -> str | None:
        try:
            fields = self.seams.apply_transform(kind, fields)
            if self.seams.excludes(kind, fields):
                return None
            marks = fields.pop("marks", None)
            entry = build(fields)
            if marks:
                entry.values["marks"] = f"{marks} {entry.values['marks'] or ''}".strip()
            if not self._append(entry):
                return None
        except Exception:
            self.failures[kind] = self.failures.get(kind, 0) + 1
            logger.exception("a %s entry could not be recorded; the host goes on", kind)
            return None
        self._announce(entry)
        return entry.event_id

    def _append(self, entry: Entry) -> bool:
        """Spool the entry; False if neither disk nor memory took it: the spool has counted it as lost."""
        number = self.spool.append(entry.kind, to_json(entry))
        self.drain_thread.ensure_started()
        self.drain_thread.notify()
        self._tell_if_degraded(lost=number is None)
        if number is None:
            return False
        if self.direct:
            self.drain_thread.wait_until(number, self.settings.direct_timeout_milliseconds / 1000)
        return True

    def _tell_if_degraded(self, *, lost: bool) -> None:
        """Emit ``logs_degraded`` when the spool begins to fall back, and for every lost entry."""
        problem = self.spool.problem()
        if lost or (problem and not self.is_degraded):
            reason = problem or "the spool takes no more entries"
            _send(logs_degraded, reason=reason, lost=self.spool.losses.totals())
        self.is_degraded = problem is not None

    def _announce(self, entry: Entry) -> None:
        _send(entry_recorded, kind=entry.kind, event_id=entry.event_id)


def _send(signal: NamedSignal, **payload: Any) -> None:
    if not signal.receivers or not has_app_context():
        return
    try:
        signal.send(current_app._get_current_object(), **payload)  # type: ignore[attr-defined]
    except Exception:
        logger.exception('a receiver of the signal "%s" raised', signal.name)


def _event_of(fields: Mapping[str, Any]) -> str:
    event = fields.get("event")
    return event if isinstance(event, str) and event in EVENTS else "sign_in"
