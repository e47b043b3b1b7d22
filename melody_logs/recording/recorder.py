"""The one way into the logs: every signal, hook and method ends here.

No exception leaves it but :class:`LogUnavailable`: where the caller is *strict*, as it comes before what is logged, and
the app has set ``MELODY_LOGS_ON_FAILURE`` to ``fail_closed``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

from flask import has_request_context

from ..errors import ConfigurationError
from ..log_unavailable import LogUnavailable
from ..settings import Settings
from ..signals import entry_recorded, logs_degraded
from ..vocabulary import Kind
from .announcing import Announcer
from .attempts import Attempt, current_attempts, event_of
from .degradation import Degradation
from .drain_thread import DrainThread
from .entries import Entry, build_message, build_sign_in, to_json
from .flood import FloodGuard
from .flows import join_attempt, join_message, note_outcome
from .forking import notice_fork
from .losses import SparseLog
from .observing import tell_observers
from .request_facts import read_request_facts
from .seams import TRANSFORM_FAILED, Seams
from .spool import Spool
from .tally import Tally

P = ParamSpec("P")
T = TypeVar("T")

#: What a message says in its first phase and need not say again.
_SAID_ONCE = frozenset({"receiver", "subject", "content", "content_type", "template", "purpose"})


def _never_raising(
    method: Callable[Concatenate[Recorder, P], T | None],
) -> Callable[Concatenate[Recorder, P], T | None]:
    """Let no error of ours but ``LogUnavailable`` out of a method; the kind or a sign-in's fields come first."""

    @wraps(method)
    def call(self: Recorder, /, *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return method(self, *args, **kwargs)
        except LogUnavailable:
            raise
        except Exception as error:
            kind: Any = args[0] if isinstance(args[0], str) else "sign-in"
            self._give_up(kind, error, kwargs.get("strict") is True)
            return None

    return call


@dataclass(slots=True)
class Recorder:
    """Turns facts into entries and appends them to the spool.

    ``failures`` counts what went wrong inside melody_logs itself, by kind; such an entry is lost, and health says so.
    ``refused`` counts the entries of which the host was told by :class:`LogUnavailable`.
    """

    settings: Settings
    seams: Seams
    spool: Spool
    drain_thread: DrainThread
    flood: FloodGuard
    derive_key: Callable[[str], bytes]
    #: How long ``record_*`` waits for the database; None: not at all.
    direct_timeout_seconds: float | None
    failures: Tally = field(default_factory=Tally)
    refused: Tally = field(default_factory=Tally)
    degradation: Degradation = field(init=False)
    log: SparseLog = field(default_factory=SparseLog)
    signals: Announcer = field(default_factory=Announcer)

    def __post_init__(self) -> None:
        """Begin with nothing told."""
        self.degradation = Degradation(self.spool)

    @_never_raising
    def record_sign_in(self, fields: dict[str, Any], *, strict: bool = False) -> str | None:
        """Record an attempt now. A signal or hook that sees it later in the request amends the same entry."""
        if not self.settings.enable_sign_in_log:
            return None
        attempts, event = current_attempts(), event_of(fields)
        attempt = attempts.get(event)
        if attempt is None or attempt.is_settled:
            # A second explicit record in one request is an attempt of its own.
            attempt = attempts[event] = Attempt()
        attempt.add(fields, only_missing=False)
        return self._write_attempt(attempt, strict)

    @_never_raising
    def note_sign_in(self, fields: dict[str, Any], *, only_missing: bool = False) -> str | None:
        """Add what a signal or hook saw; inside a request it is recorded when the request ends."""
        if not self.settings.enable_sign_in_log:
            return None
        if not has_request_context():
            return self.record_sign_in(fields)
        attempt = current_attempts().setdefault(event_of(fields), Attempt())
        attempt.add(fields, only_missing=only_missing or attempt.event_id is not None)
        return attempt.event_id

    def finish_request(self) -> None:
        """Record what this request gathered since it was last asked."""
        for attempt in current_attempts().values():
            join_attempt(attempt)
            is_known = attempt.event_id is not None and not attempt.is_folded
            if not attempt.is_settled or (is_known and attempt.news):
                self._write_attempt(attempt)

    @_never_raising
    def record_message(
        self,
        kind: Kind,
        fields: dict[str, Any],
        *,
        event_id: str | None = None,
        amends: bool = False,
        strict: bool = False,
        news: frozenset[str] = frozenset(),
    ) -> str | None:
        """Record an email or SMS, or, with the *event_id* of an earlier entry, what became of it and the *news*."""
        if not self.settings.is_enabled(kind):
            return None
        if event_id is None:
            fields = join_message(fields) or fields

        def build(fields: Mapping[str, Any]) -> Entry:
            if event_id is not None:
                # Only now: the host's transform sees the whole message both times.
                fields = {name: value for name, value in fields.items() if name not in _SAID_ONCE - news}
            return build_message(
                kind,
                fields,
                facts=read_request_facts(self.settings),
                settings=self.settings,
                event_id=event_id,
                amends=amends,
                without_body=self._has_little_room(),
            )

        entry = self._record(kind, fields, build, is_known=event_id is not None, strict=strict)
        return entry and entry.event_id

    def _write_attempt(self, attempt: Attempt, strict: bool = False) -> str | None:
        amends = attempt.event_id is not None

        def build(fields: Mapping[str, Any]) -> Entry:
            facts = read_request_facts(self.settings)
            key = self._identity_key()
            if fields.get("user_id") is not None and fields.get("account_known") is None:
                fields = {**fields, "account_known": True}
            entry = build_sign_in(fields, facts=facts, key=key or b"", event_id=attempt.event_id, amends=amends)
            if key is None:
                entry.values["identity_hash"] = None
            return entry

        join_attempt(attempt)
        attempt.is_settled = True
        entry = self._record("sign-in", attempt.fields, build, is_known=amends, strict=strict)
        if entry is None:
            return None
        attempt.event_id = entry.event_id
        attempt.written = dict(attempt.fields)
        attempt.is_folded = entry.is_folded
        note_outcome(entry.values)
        return entry.event_id

    def _has_little_room(self) -> bool:
        """Say whether bodies would soon leave no room for what is recorded beside them."""
        notice_fork()
        try:
            return any(file.is_nearly_full() for file in self.spool.own_files())
        except sqlite3.Error:
            # The append finds out by itself what is wrong with the file, and what to do.
            return False

    def _identity_key(self) -> bytes | None:
        """Give the key of the identities' hashes; None in an app without a secret, whose health says so."""
        try:
            return self.derive_key("identity")
        except ConfigurationError:
            return None

    def require_log(self, kind: Kind) -> None:
        """Ask, before something is done that is logged afterwards, whether the disk takes an entry now.

        :raise LogUnavailable: if it does not and the app fails closed. The database is not asked: it may answer slowly.
        """
        if not self.settings.fails_closed or not self.settings.is_enabled(kind):
            return
        try:
            refusal = self.spool.find_refusal()
        except Exception as error:
            refusal = self._explain_error(kind, error)
        if refusal is not None:
            self._refuse(kind, refusal)

    def lose(self, kind: Kind) -> None:
        """Count an entry that an error inside melody_logs has lost; call it in the handler of the error."""
        self.failures.count(kind)
        self.spool.losses.count(kind)
        self.log.warn(f"a {kind} entry could not be recorded and is lost; the host goes on", with_traceback=True)
        self._tell_if_degraded("an entry was lost to an error inside melody_logs")

    def _record(
        self,
        kind: Kind,
        fields: dict[str, Any],
        build: Callable[[Mapping[str, Any]], Entry],
        *,
        is_known: bool,
        strict: bool,
    ) -> Entry | None:
        """Append an entry and return what was appended; one that *is_known* can be left out no more."""
        strict = strict and self.settings.fails_closed
        try:
            fields = self.seams.apply_transform(kind, fields)
            if not is_known and self.seams.excludes(kind, fields):
                return None
            # A transform gives no marks of its own: the pages go by them, and they would have no limit.
            has_failed = fields.pop("marks", None) == TRANSFORM_FAILED
            entry = build(fields)
            if has_failed:
                entry.values["marks"] = f"{TRANSFORM_FAILED} {entry.values['marks'] or ''}".strip()
            entry = self.flood.fold(entry)
            if not self._append(entry, strict):
                return None
        except LogUnavailable:
            raise
        except Exception as error:
            self._give_up(kind, error, strict)
            return None
        tell_observers(entry)
        self.signals.send(entry_recorded, kind=entry.kind, event_id=entry.event_id, folded=entry.is_folded)
        return entry

    def _give_up(self, kind: Kind, error: Exception, strict: bool) -> None:
        """Refuse what an error inside melody_logs has lost, or count it; call it in the handler of the error."""
        if strict and self.settings.fails_closed:
            self._refuse(kind, self._explain_error(kind, error))
        self.lose(kind)

    def _explain_error(self, kind: Kind, error: Exception) -> str:
        """Log the error being handled, for which an entry is refused, and name it."""
        self.log.warn(f"a {kind} entry could not be recorded and is refused", with_traceback=True)
        return f"an error inside melody_logs: {type(error).__name__}"

    def _append(self, entry: Entry, strict: bool) -> bool:
        """Spool the entry; False if neither disk nor memory took it: the spool has counted it as lost."""
        # What waits in memory is gone with the process, unless the database has it before we return.
        waits = self.direct_timeout_seconds is not None
        number = self.spool.append(entry.kind, to_json(entry), in_memory=waits or not strict, may_refuse=strict)
        lost = number is None and not strict
        is_written = self.follow_up(number, "an entry was lost: neither disk nor memory takes it" if lost else None)
        is_kept = number is not None and not (strict and not is_written and self.spool.withdraw(number))
        if not is_kept:
            self.flood.forget(entry)
        if strict and not is_kept:
            self._refuse(entry.kind, self.spool.find_refusal() or "this thread is at work in the spool")
        return is_kept

    def follow_up(self, number: int | None, loss: str | None) -> bool:
        """Wake the drain and tell the host of troubles; say whether the entry *number* is in the database.

        Only the direct writer waits for that. An error of ours in here is logged: it does not lose what was appended.
        """
        try:
            self.drain_thread.ensure_started()
            self.drain_thread.notify()
            self._tell_if_degraded(loss)
            if number is None or self.direct_timeout_seconds is None:
                return False
            return self.drain_thread.wait_until(number, self.direct_timeout_seconds)
        except Exception:
            self.log.warn("an entry is kept, but the drain could not be woken for it", with_traceback=True)
            return False

    def _refuse(self, kind: Kind, reason: str) -> NoReturn:
        self.refused.count(kind)
        raise LogUnavailable(
            f'"MELODY_LOGS_ON_FAILURE" is "fail_closed", and the {kind} entry cannot be made durable: {reason}'
        )

    def _tell_if_degraded(self, loss: str | None) -> None:
        """Emit ``logs_degraded`` when something has become worse, and for every lost entry."""
        reason = self.degradation.find_news(self.drain_thread.drain_state, loss)
        if reason is not None:
            self.signals.send(logs_degraded, reason=reason, lost=self.spool.losses.totals())
