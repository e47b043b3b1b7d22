"""The coverage report: made by one bounded look, and kept for five minutes for the pages' banner."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from ..errors import MelodyLogsError
from ..state import State, state_of
from ..storage.recent_rows import RecentRows, read_recent_rows
from ..storage.trouble import find_reason
from ..vocabulary import KINDS
from .addresses import examine_addresses
from .libraries import examine_libraries, list_connected
from .logs import examine_logs
from .remarks import Connected, Remark
from .views import examine_views

logger = logging.getLogger("melody_logs")

#: What the code and the set-up of an app leave out changes with a deployment.
KEPT_SECONDS = 300.0
#: For all that is read from the database.
PATIENCE_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Coverage:
    """What is on, what is connected, and what is remarkable; ``well`` if that is nothing but notes."""

    kinds: dict[str, bool]
    connected: tuple[Connected, ...]
    remarks: tuple[Remark, ...]

    @property
    def warnings(self) -> tuple[Remark, ...]:
        """The remarks that need somebody."""
        return tuple(remark for remark in self.remarks if remark.level == "warning")

    @property
    def well(self) -> bool:
        """Say whether nothing needs anybody."""
        return not self.warnings


def examine(app: Flask) -> Coverage:
    """Look at the app, its libraries and its newest rows.

    Never raises: what cannot be looked at is a remark. The database is asked for two seconds at most.
    """
    state = state_of(app)
    coverage = _look(app, state)
    state.seen_coverage = (time.monotonic(), coverage)
    return coverage


def _look(app: Flask, state: State) -> Coverage:
    remarks: list[Remark] = []
    recent: RecentRows | None = None
    try:
        with state.database.reads_within(PATIENCE_SECONDS):
            recent = read_recent_rows(state.database)
    except (SQLAlchemyError, MelodyLogsError, OSError) as error:
        evidence = str(find_reason(error))
        remarks.append(Remark("Logs", "the newest rows could not be read", evidence, "flask melody-logs health"))
    kinds: dict[str, bool] = {kind: state.settings.is_enabled(kind) for kind in KINDS}
    if not any(kinds.values()):
        remedy = "set MELODY_LOGS_ENABLE_SIGN_IN_LOG, …_EMAIL_LOG or …_SMS_LOG to True"
        remarks.append(Remark("Logs", "no log is on: nothing is recorded", "the settings of the app", remedy))
        return Coverage(kinds, list_connected(state), tuple(remarks))
    remarks += _guarded("Integrations", lambda: examine_libraries(app, state, recent))
    told = [remark.text for remark in remarks]
    remarks += _guarded("Sign-in views", lambda: examine_views(app, state, recent, told))
    remarks += _guarded("Quiet logs", lambda: examine_logs(state, recent))
    remarks += _guarded("Proxy", lambda: examine_addresses(app, recent))
    return Coverage(kinds, list_connected(state), tuple(remarks))


def recent_coverage(app: Flask) -> Coverage | None:
    """Give what was found within five minutes; look again if that is longer ago and nobody else does just now.

    None if the first look is still under way.
    """
    state = state_of(app)
    now = time.monotonic()
    seen_at, coverage = state.seen_coverage or (None, None)
    if seen_at is not None and now - seen_at < KEPT_SECONDS:
        return coverage
    state.seen_coverage = (now, coverage)
    return examine(app)


def describe_coverage(coverage: Coverage) -> dict[str, Any]:
    """Give the report as values that JSON has."""
    return {
        "well": coverage.well,
        "logs": coverage.kinds,
        "integrations": [dataclasses.asdict(one) for one in coverage.connected],
        "findings": [dataclasses.asdict(remark) for remark in coverage.remarks],
    }


def _guarded(name: str, look: Callable[[], Iterable[Remark]]) -> list[Remark]:
    try:
        return list(look())
    except Exception as error:
        logger.exception("a part of the coverage report of melody_logs could not be made")
        return [Remark(name, "could not be looked at", f"{type(error).__name__}: {error}", "see the server's log")]
