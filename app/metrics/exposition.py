"""What a family of processes shows of itself, as Prometheus text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.metrics.scratch import Scratch

CONTENT_TYPE = CONTENT_TYPE_LATEST

# It isn't annotated.
_MultiProcessCollector: Any = MultiProcessCollector


class Exposition:
    """The metrics of this process, or with `scratch` of all that keep theirs there.

    `more` are collectors that ask somebody each time.
    """

    def __init__(
        self,
        own: CollectorRegistry,
        scratch: Scratch | None = None,
        more: Sequence[Collector] = (),
    ) -> None:
        self._own = own
        self._scratch = scratch
        self._more = more

    def text(self) -> bytes:
        """Write them all."""
        asked = CollectorRegistry()
        for collector in self._more:
            asked.register(collector)
        return self._counted() + generate_latest(asked)

    def _counted(self) -> bytes:
        if self._scratch is None:
            return generate_latest(self._own)
        with self._scratch.settled() as path:
            family = CollectorRegistry()
            _MultiProcessCollector(family, path)
            return generate_latest(family)


class MemoryCollector(Collector):
    """The memory of a process and its children. `root` gives the pid of the first."""

    def __init__(self, root: Callable[[], int]) -> None:
        self._root = root

    def collect(self) -> Iterable[Metric]:
        """Ask the kernel."""
        family = GaugeMetricFamily(
            "chaingraph_process_resident_bytes",
            "Resident memory of each process; what several share is counted in each.",
            labels=["pid"],
        )
        for pid, resident in _resident(self._root()):
            family.add_metric([str(pid)], resident)
        yield family

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked for a registration."""
        return ()


def _resident(root: int) -> Iterator[tuple[int, int]]:
    first = psutil.Process(root)
    for process in (first, *first.children(recursive=True)):
        try:
            yield process.pid, process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
