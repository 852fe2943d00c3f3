"""Where a process's spans go: to what the OTEL_* variables say, from a thread of its own.

OpenTelemetry comes with the extra `otel`, and is loaded where one of them asks for traces alone.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.config.traces import trace_exporter
from app.executions.tracing import UNTRACED, Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

#: How long (s) the end of a process waits for its last spans to go out.
ENDS_WITHIN_S = 2.0

#: Each exporter's module and class.
_EXPORTERS = {
    "otlp": ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "OTLPSpanExporter"),
    "console": ("opentelemetry.sdk.trace.export", "ConsoleSpanExporter"),
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Traces:
    """What tells of executions in this process, and what ends it: the last spans go out then."""

    tracing: Tracing = UNTRACED
    end: Callable[[], object] = lambda: None


def open_traces(service: str) -> Traces:
    """Tell of executions as a service that is called so, unless OTEL_SERVICE_NAME says otherwise.

    Call it after a fork: what sends the spans is a thread. Nothing is told where the variables
    ask for nothing; where they ask for what is not installed, the log says so.
    """
    wanted = trace_exporter()
    if wanted is None:
        return Traces()
    if wanted not in _EXPORTERS:
        _log.warning("no traces: OTEL_TRACES_EXPORTER=%s: %s", wanted, " or ".join(_EXPORTERS))
        return Traces()
    module, name = _EXPORTERS[wanted]
    try:
        exporter: SpanExporter = getattr(importlib.import_module(module), name)()
    except ImportError as error:
        _log.warning("no traces: %s: install chaingraph-celery[otel]", error)
        return Traces()
    return traces_to(exporter, service)


def traces_to(exporter: SpanExporter, service: str, *, at_once: bool = False) -> Traces:
    """Send spans by this exporter, in batches unless it is to be at once."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    from app.executions.spans import DerivedIds, Spans

    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: service}))
    provider = TracerProvider(resource=resource, id_generator=DerivedIds(), shutdown_on_exit=False)
    process: Any = SimpleSpanProcessor if at_once else BatchSpanProcessor
    provider.add_span_processor(process(exporter))

    def end() -> None:
        # A collector that is away must not hold up the end of a process.
        ending = threading.Thread(target=provider.shutdown, daemon=True, name="traces")
        ending.start()
        ending.join(ENDS_WITHIN_S)

    return Traces(Spans(provider), end)
