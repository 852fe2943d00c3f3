"""Spans of OpenTelemetry, in traces that follow from executions' ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from app.errors import NodeCancelled
from app.executions.steps import outcome_of
from app.executions.tracing import RunSpan
from app.store.records import Fence

_EXECUTION = "chaingraph.execution.id"

_Attributes = Mapping[str, str | int]

#: What a span's ids are to be, where they follow from something.
_wanted: ContextVar[_Ids | None] = ContextVar("wanted", default=None)


class _Ids(NamedTuple):
    trace_id: int
    span_id: int


class DerivedIds(RandomIdGenerator):
    """Gives spans the ids that were asked for, and random ones elsewhere."""

    def generate_trace_id(self) -> int:
        """Give the id of a trace that begins."""
        wanted = _wanted.get()
        return wanted.trace_id if wanted else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Give the id of a span that begins."""
        wanted = _wanted.get()
        return wanted.span_id if wanted else super().generate_span_id()


def trace_id_of(execution_id: str) -> int:
    """The id of an execution's trace: 128 bits, in hexadecimal what collectors show."""
    return _bits(16, "trace", execution_id)


class Spans:
    """Makes the spans of a process whose provider has DerivedIds."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("chaingraph")
        self._sampler: Sampler = provider.sampler

    def created(self, execution_ids: Sequence[str]) -> None:
        """These were created: each one's first span, with a link to whatever asked for it."""
        links = _links(trace.get_current_span().get_span_context())
        for execution_id in execution_ids:
            attributes: _Attributes = {_EXECUTION: execution_id}
            with _ids(_root_ids(execution_id)):
                self._tracer.start_span(
                    "create execution", Context(), SpanKind.SERVER, attributes, links
                ).end()

    def commanded(self, execution_id: str, what: str, began_ns: int, status: int) -> None:
        """A request about an execution was answered."""
        attributes: _Attributes = {
            _EXECUTION: execution_id,
            "http.response.status_code": status,
        }
        links = _links(trace.get_current_span().get_span_context())
        within = self._within(execution_id)
        span = self._tracer.start_span(
            what, within, SpanKind.SERVER, attributes, links, start_time=began_ns
        )
        span.end()

    @contextmanager
    def run(self, fence: Fence, parent_execution_id: str | None) -> Iterator[RunSpan]:
        """A claimed execution, or a sent step, runs in the block."""
        attributes: _Attributes = {
            _EXECUTION: fence.execution_id,
            "chaingraph.epoch": fence.epoch,
        }
        parent = _context_of(parent_execution_id) if parent_execution_id else None
        name = f"step {fence.node_id}" if fence.node_id else "run execution"
        with _ids(_run_ids(fence)):
            span = self._tracer.start_span(
                name,
                self._within(fence.execution_id),
                SpanKind.CONSUMER,
                attributes,
                _links(parent),
            )
        run_span = _RunSpan(span)
        try:
            yield run_span
        finally:
            span.end()

    @contextmanager
    def node(self, fence: Fence, node_id: str, node_type: str, attempt: int) -> Iterator[None]:
        """A node runs in the block: what it does in this thread may have spans below its own."""
        attributes: _Attributes = {
            _EXECUTION: fence.execution_id,
            "chaingraph.node.id": node_id,
            "chaingraph.node.type": node_type,
            "chaingraph.attempt": attempt,
        }
        within = self._below(_run_ids(fence))
        with self._tracer.start_as_current_span(
            node_type,
            within,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                _note_failure(span, error)
                raise

    def recovered(self, execution_id: str, reason: str, previous_worker_id: str | None) -> None:
        """An execution was taken from a lost owner."""
        attributes: _Attributes = {
            _EXECUTION: execution_id,
            "chaingraph.recovery.reason": reason,
            "chaingraph.recovery.previous_worker": previous_worker_id or "",
        }
        span = self._tracer.start_span(
            "recover execution", self._within(execution_id), attributes=attributes
        )
        span.end()

    def _within(self, execution_id: str) -> Context:
        """The context of an execution's first span."""
        return self._below(_root_ids(execution_id))

    def _below(self, ids: _Ids) -> Context:
        """The context of a span that some process makes."""
        # What is sampled follows from the trace's id, too: all processes decide alike.
        decision = self._sampler.should_sample(None, ids.trace_id, "create execution").decision
        is_sampled = decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT)
        span = NonRecordingSpan(SpanContext(*ids, is_remote=True, trace_flags=flags))
        return trace.set_span_in_context(span, Context())


class _RunSpan:
    def __init__(self, span: Span) -> None:
        self._span = span

    def ended(self, how: str) -> None:
        """It left the process, in this way."""
        self._span.set_attribute("chaingraph.end", how)


def _note_failure(span: Span, error: BaseException) -> None:
    outcome = outcome_of(error)
    span.set_attribute("chaingraph.outcome", outcome)
    if outcome != "waits" and not isinstance(error, NodeCancelled):
        # Its message may hold a secret, and is hidden only later.
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))


@contextmanager
def _ids(wanted: _Ids) -> Iterator[None]:
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def _links(context: SpanContext | None) -> list[Link]:
    return [Link(context)] if context is not None and context.is_valid else []


def _context_of(execution_id: str) -> SpanContext:
    return SpanContext(*_root_ids(execution_id), is_remote=True)


def _root_ids(execution_id: str) -> _Ids:
    return _Ids(trace_id_of(execution_id), _bits(8, "root", execution_id))


def _run_ids(fence: Fence) -> _Ids:
    span_id = _bits(8, "run", fence.execution_id, str(fence.epoch), fence.node_id)
    return _Ids(trace_id_of(fence.execution_id), span_id)


def _bits(size: int, *what: str) -> int:
    """So many bytes that follow from these; never 0, which is no id."""
    digest = hashlib.sha256("\0".join(what).encode()).digest()
    return int.from_bytes(digest[:size], "big") or 1
