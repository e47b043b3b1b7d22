"""The figures of the health as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ..health import Figures, Health, check_health
from ..state import state_of
from ..vocabulary import KINDS

_LEVELS = ("good", "warning", "bad")


class HealthCollector(Collector):
    """Looks at the health of one app's logs at each collection.

    Its counts and moments are the same whichever process of the app answers: those of the database, and of the spools
    of this machine. The findings are also of the process that answers. What cannot be read is left out.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        """Measure; it never raises and ends within seconds."""
        with self._app.app_context():
            health = check_health(state_of(self._app))
        yield from _list_metrics(health)

    def describe(self) -> list[Metric]:
        """Name nothing: else a registry would look at the health, and ask the database, when this is registered."""
        return []


def write_metrics(app: Flask, accept: str) -> tuple[bytes, str]:
    """Write the metrics in the format that the header *accept* asks for; return them with their content type."""
    registry = CollectorRegistry()
    registry.register(HealthCollector(app))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _list_metrics(health: Health) -> Iterator[Metric]:
    figures = health.figures
    yield _gauge("up", "Whether the log database could be read.", figures.database_at is not None)
    yield _gauge("well", "Whether no finding of the health is bad.", health.well)
    levels = [finding.level for finding in health.findings]
    counts = {level: levels.count(level) for level in _LEVELS}  # type: ignore[arg-type]
    yield _by_label("findings", "Findings of the health by level.", "level", counts)
    if figures.spool_entries is not None:
        yield from _list_spool_metrics(figures)
    if figures.database_at is not None:
        yield from _list_database_metrics(figures)


def _list_spool_metrics(figures: Figures) -> Iterator[Metric]:
    yield _gauge("spool_entries", "Entries that wait in the spools of this machine.", figures.spool_entries)
    yield _gauge("spool_bytes", "Size of what waits in the spools of this machine.", figures.spool_bytes)
    yield _gauge("spool_max_bytes", "Largest size of the spool of one process.", figures.spool_max_bytes)
    yield _gauge("spool_fullest_ratio", "How full the fullest spool is, from 0 to 1.", figures.spool_share)
    age = figures.spool_oldest_age_seconds
    yield _gauge("spool_oldest_age_seconds", "Age of the oldest entry that waits; 0 if none does.", age)
    dead = _all_kinds(figures.dead_letters)
    yield _by_label("dead_letters", "Entries kept aside because the database rejected them.", "kind", dead)
    yield _gauge("damaged_spools", "Spool files that were damaged and are kept aside.", figures.damaged_spools)


def _list_database_metrics(figures: Figures) -> Iterator[Metric]:
    yield _by_label("rows", "Rows in the log tables.", "kind", _all_kinds(figures.rows))
    lost = CounterMetricFamily("melody_logs_lost_entries", "Entries lost, of all processes.", labels=["kind"])
    for kind, count in _all_kinds(figures.lost).items():
        lost.add_metric([kind], count)
    yield lost
    yield _gauge("pending_locations", "Sign-ins that wait for their location.", figures.pending_locations)
    age = figures.pending_location_age_seconds
    yield _gauge("pending_location_age_seconds", "Age of the oldest of them; 0 if none waits.", age)
    moments = {
        "last_drain": ("When a spool was last written to the tables.", figures.last_drain_at),
        "last_retention_run": ("When a worker last looked at the retention policies.", figures.last_retention_run_at),
        "last_worker": ("When a worker was last seen.", figures.last_worker_at),
        "last_beat": ("When beat was last seen.", figures.last_beat_at),
    }
    for name, (text, moment) in moments.items():
        if moment is not None:
            yield _moment(name, text, moment)


def _gauge(name: str, text: str, value: float | None) -> Metric:
    return GaugeMetricFamily(f"melody_logs_{name}", text, value=value or 0)


def _moment(name: str, text: str, moment: datetime) -> Metric:
    return _gauge(f"{name}_timestamp_seconds", text, moment.timestamp())


def _by_label(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"melody_logs_{name}", text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _all_kinds(counts: Mapping[str, int] | None) -> dict[str, int]:
    """Fill in the kinds with nothing: a rate needs a value from before the first loss."""
    return dict.fromkeys(KINDS, 0) | dict(counts or {})
