"""Every metric that processes count: name, meaning, labels. docs/operations.md lists them.

Each class is what one part of the house is handed; a method is one thing that happened there.
Times are in seconds, as Prometheus has them.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: Upper bounds (s) of the classes that are counted.
NODE_S = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0, 3600.0)
RUN_S = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0, 3600.0)
STATEMENT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)
LATENESS_S = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
REQUEST_S = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class StreamMetrics:
    """What is created and told, in every process that publishes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._created = Counter(
            "chaingraph_executions_created",
            "Executions created, children among them.",
            registry=registry,
        )
        self._ended = Counter(
            "chaingraph_executions_ended",
            "Executions that reached a final status.",
            ["status"],
            registry=registry,
        )
        events = Counter(
            "chaingraph_events_published",
            "Committed events handed to Redis (sent), or not, because it is away (dropped).",
            ["outcome"],
            registry=registry,
        )
        self._sent, self._dropped = events.labels("sent"), events.labels("dropped")

    def created(self, count: int) -> None:
        """So many executions were created."""
        self._created.inc(count)

    def ended(self, status: str) -> None:
        """An execution reached a final status."""
        self._ended.labels(status).inc()

    def stopped(self) -> None:
        """One was stopped."""
        self.ended("stopped")

    def published(self, count: int, is_sent: bool) -> None:
        """So many events were handed to Redis, or dropped."""
        (self._sent if is_sent else self._dropped).inc(count)


class StoreMetrics:
    """What had to be asked of PostgreSQL again."""

    def __init__(self, registry: CollectorRegistry) -> None:
        retries = Counter(
            "chaingraph_statement_retries",
            "Statements tried again: a row was locked, or PostgreSQL was away.",
            ["reason"],
            registry=registry,
        )
        self._locked, self._unavailable = retries.labels("locked"), retries.labels("unavailable")

    def locked_out(self) -> None:
        """A lock kept a statement from its row."""
        self._locked.inc()

    def unavailable(self) -> None:
        """A run waits for PostgreSQL, to try again."""
        self._unavailable.inc()


class RunMetrics:
    """What runs of executions do in a worker."""

    def __init__(self, registry: CollectorRegistry, streams: StreamMetrics) -> None:
        self._streams = streams
        claims = Counter(
            "chaingraph_claims",
            "Executions, and steps that were sent, that processes took as their own.",
            ["kind"],
            registry=registry,
        )
        self._claims = {kind: claims.labels(kind) for kind in ("execution", "step")}
        self._running = Gauge(
            "chaingraph_slots_busy",
            "Executions and sent steps that run now.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._runs = Histogram(
            "chaingraph_run_duration_seconds",
            "From a claim to how the execution left the process.",
            ["end"],
            buckets=RUN_S,
            registry=registry,
        )
        self._nodes = Histogram(
            "chaingraph_node_duration_seconds",
            "Attempts of nodes, by node type and what came of them.",
            ["type", "outcome"],
            buckets=NODE_S,
            registry=registry,
        )
        self._by_node: dict[tuple[str, str], Histogram] = {}
        self._boundaries = Histogram(
            "chaingraph_boundary_duration_seconds",
            "The statement that commits a node boundary, from this side.",
            buckets=STATEMENT_S,
            registry=registry,
        )
        self._checkpoints = Counter(
            "chaingraph_checkpoints", "Checkpoints committed.", registry=registry
        )
        self._fenced = Counter(
            "chaingraph_fenced_writes",
            "Writes that were void: the execution had been stopped or taken over.",
            registry=registry,
        )
        self._lateness = Histogram(
            "chaingraph_timer_lateness_seconds",
            "How long after its time a sleep ended, or a retry was tried.",
            buckets=LATENESS_S,
            registry=registry,
        )

    def claimed(self, kind: str) -> None:
        """An `execution` or a sent `step` is this process's."""
        self._claims[kind].inc()
        self._running.inc()

    def left(self, end: str, seconds: float) -> None:
        """It left the process, in this way."""
        self._running.dec()
        self._runs.labels(end).observe(seconds)

    def node_ended(self, type_: str, outcome: str, seconds: float) -> None:
        """An attempt of a node ended."""
        key = type_, outcome
        series = self._by_node.get(key)
        if series is None:
            series = self._by_node[key] = self._nodes.labels(type_, outcome)
        series.observe(seconds)

    def committed(self, seconds: float, checkpoints: int, born: int, status: str | None) -> None:
        """A boundary was committed, with so many checkpoints and children.

        `status` is the final one that it gave the execution, if it did.
        """
        self._boundaries.observe(seconds)
        if checkpoints:
            self._checkpoints.inc(checkpoints)
        if born:
            self._streams.created(born)
        if status is not None:
            self._streams.ended(status)

    def fenced(self) -> None:
        """A write was void."""
        self._fenced.inc()

    def timer_fired(self, late_s: float) -> None:
        """What a node waited for came so late."""
        self._lateness.observe(late_s)


class SweepMetrics:
    """What the sweep of a worker does."""

    def __init__(self, registry: CollectorRegistry, streams: StreamMetrics) -> None:
        self._streams = streams
        self._sweeps = Histogram(
            "chaingraph_sweep_duration_seconds",
            "Sweeps, without the wait for timers that follows.",
            buckets=STATEMENT_S,
            registry=registry,
        )
        self._recoveries = Counter(
            "chaingraph_recoveries",
            "Executions and sent steps taken from lost owners.",
            ["reason"],
            registry=registry,
        )

    def swept(self, seconds: float) -> None:
        """A sweep took so long."""
        self._sweeps.observe(seconds)

    def recovered(self, reason: str) -> None:
        """Something was taken from its owner."""
        self._recoveries.labels(reason).inc()

    def ended(self, status: str) -> None:
        """An execution was given this final status."""
        self._streams.ended(status)


class RequestMetrics:
    """What the API answers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Histogram(
            "chaingraph_http_request_duration_seconds",
            "Requests that were answered, by route. WebSockets are counted as sockets.",
            ["method", "route", "status"],
            buckets=REQUEST_S,
            registry=registry,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, status).observe(seconds)


class RelayMetrics:
    """What the relay sends."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sockets = Gauge(
            "chaingraph_relay_sockets",
            "WebSockets that are open.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._events = Counter(
            "chaingraph_relay_events", "Events sent to WebSockets.", registry=registry
        )
        self._lag = Histogram(
            "chaingraph_relay_lag_seconds",
            "From an event's time in PostgreSQL until it was sent, for events that are live.",
            buckets=LATENESS_S,
            registry=registry,
        )

    def opened(self) -> None:
        """A socket is served."""
        self._sockets.inc()

    def closed(self) -> None:
        """It is no longer."""
        self._sockets.dec()

    def sent(self, count: int, lag_s: float | None) -> None:
        """So many events were sent, the last so long after its time; None: it was old."""
        self._events.inc(count)
        if lag_s is not None:
            self._lag.observe(max(0.0, lag_s))
