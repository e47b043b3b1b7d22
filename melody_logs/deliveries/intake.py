"""Verified reports on their way into the spool, as every entry goes."""

from __future__ import annotations

from collections.abc import Iterable

from ..recording.recorder import Recorder
from ..recording.reports import write_report
from ..storage.deliveries import DeliveryReport


def keep_reports(recorder: Recorder, reports: Iterable[DeliveryReport]) -> bool:
    """Spool reports; False if neither disk nor memory takes one: its provider must bring it again.

    Those of a kind that is disabled are left out. The database may be away.
    """
    number = None
    for report in reports:
        if not recorder.settings.is_enabled(report.kind):
            continue
        number = recorder.spool.append(report.kind, write_report(report), may_refuse=True)
        if number is None:
            return False
    if number is not None:
        recorder.follow_up(number, None)
    return True
