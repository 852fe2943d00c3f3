"""What PostgreSQL says of how much there is, kept for a few seconds: scrapes must not load it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.errors import StoreUnavailable

#: How long (s) an answer, or the want of one, is shown.
KEPT_S = 5.0

#: By what is counted: the metric, its label if it has one, and its meaning.
GAUGES: dict[str, tuple[str, str | None, str]] = {
    "executions": (
        "chaingraph_executions",
        "status",
        "Executions that are stored: extrapolated from a sample once the table is large.",
    ),
    "runnable": (
        "chaingraph_executions_runnable",
        None,
        "Executions in the backlog: a worker should take them. Counted up to 50,000.",
    ),
    "runnable_oldest": (
        "chaingraph_executions_runnable_oldest_seconds",
        None,
        "How long the oldest of the backlog has been in it.",
    ),
    "timers": (
        "chaingraph_timers",
        None,
        "Parked executions to which something comes by itself, as a timer. Counted up to 50,000.",
    ),
    "timers_overdue": (
        "chaingraph_timers_overdue_seconds",
        None,
        "How long ago the first of those was due.",
    ),
    "claims": ("chaingraph_claims_active", "kind", "Executions and sent steps that are owned."),
    "steps_waiting": (
        "chaingraph_steps_waiting",
        "queue",
        "Sent steps that no worker of their queue has taken.",
    ),
    "workers": ("chaingraph_workers", None, "Workers that are registered."),
    "slots": ("chaingraph_slots", None, "Executions that those can run at once."),
    "sweep_age": (
        "chaingraph_sweep_age_seconds",
        None,
        "How long ago the last sweep of the cluster began.",
    ),
}
_UP = "chaingraph_database_up"
_UP_MEANS = "Whether PostgreSQL answered; the gauges of what is stored are missing without it."

Row = tuple[str, str, float]


class CensusCollector(Collector):
    """Shows what `ask` counts, which may raise StoreUnavailable. From any thread.

    `clock` is monotonic, in seconds.
    """

    def __init__(self, ask: Callable[[], Sequence[Row]], clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._known: list[Metric] = []
        self._known_until = float("-inf")
        self._lock = threading.Lock()

    def collect(self) -> Iterable[Metric]:
        """Ask, unless that was done a moment ago."""
        with self._lock:
            if self._clock() >= self._known_until:
                self._known = self._asked()
                self._known_until = self._clock() + KEPT_S
            return list(self._known)

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked for a registration."""
        return ()

    def _asked(self) -> list[Metric]:
        try:
            rows = self._ask()
        except StoreUnavailable as error:
            _log.warning("executions can't be counted: %s", error)
            return [GaugeMetricFamily(_UP, _UP_MEANS, 0)]
        families = {
            what: GaugeMetricFamily(name, meaning, labels=[label] if label else [])
            for what, (name, label, meaning) in GAUGES.items()
        }
        for what, kind, value in rows:
            labels = [kind] if GAUGES[what][1] else []
            families[what].add_metric(labels, value)
        return [GaugeMetricFamily(_UP, _UP_MEANS, 1), *families.values()]


_log = logging.getLogger(__name__)
