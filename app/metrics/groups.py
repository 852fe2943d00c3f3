"""What the kinds of processes count."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from app.metrics.catalogue import (
    RelayMetrics,
    RequestMetrics,
    RunMetrics,
    StoreMetrics,
    StreamMetrics,
    SweepMetrics,
)


class SharedMetrics:
    """Of any process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.streams = StreamMetrics(self.registry)
        self.store = StoreMetrics(self.registry)


class WorkerMetrics:
    """Of a worker's parent or child. `shared` where the process is more than that."""

    def __init__(self, shared: SharedMetrics | None = None) -> None:
        shared = shared or SharedMetrics()
        self.registry, self.streams, self.store = shared.registry, shared.streams, shared.store
        self.runs = RunMetrics(self.registry, self.streams)
        self.sweeps = SweepMetrics(self.registry, self.streams)


class ApiMetrics:
    """Of an API process."""

    def __init__(self) -> None:
        self.shared = SharedMetrics()
        self.registry = self.shared.registry
        self.streams, self.store = self.shared.streams, self.shared.store
        self.requests = RequestMetrics(self.registry)
        self.relay = RelayMetrics(self.registry)
