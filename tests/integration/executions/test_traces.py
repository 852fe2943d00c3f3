"""One trace for each execution, whoever tells of it: the API, worker processes, the sweep."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from app.config import load_settings
from app.config.traces import trace_exporter
from app.executions import exporting
from app.executions.exporting import Traces, open_traces, traces_to
from app.executions.run import RunEnd
from app.executions.spans import trace_id_of
from app.executions.tracing import UNTRACED
from tests.integration.executions.nodes import fail, node_that
from tests.integration.executions.process import Process, execution_of, flow, node
from tests.world import PgWorld
from web.composition import compose, end

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Told:
    """A process's traces, and the spans that went out."""

    def __init__(self, service: str) -> None:
        self._exporter = InMemorySpanExporter()
        self.traces = traces_to(self._exporter, service, at_once=True)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())


@pytest.fixture
def told() -> Iterator[Callable[[str], Told]]:
    made: list[Told] = []

    def make(service: str) -> Told:
        made.append(Told(service))
        return made[-1]

    yield make
    for each in made:
        each.traces.end()


@pytest.fixture
def client(
    world: PgWorld, redis_url: str, told: Callable[[str], Told], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[FlaskClient, Told]]:
    """The API on the same database."""
    # Celery's settings are those of the environment when its app is first used.
    monkeypatch.setenv("REDIS_URL", redis_url)
    api = told("chaingraph-api")
    settings = load_settings({"DATABASE_URL": world.database.url, "REDIS_URL": redis_url})
    app = compose(settings, api.traces)
    yield app.test_client(), api
    end(app)


def run(process: Process, told: Told, *targets: Any) -> int:
    around = process.around(*targets, tracing=told.traces.tracing)
    return process.executor(around).work()


def by_name(spans: list[ReadableSpan]) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans}


def parent_of(span: ReadableSpan, spans: list[ReadableSpan]) -> str:
    """The name of the span below which a span is."""
    assert span.parent is not None
    [parent] = [each for each in spans if each.context.span_id == span.parent.span_id]
    return parent.name


def test_api_and_workers_tell_one_trace(
    client: tuple[FlaskClient, Told],
    process: Process,
    told: Callable[[str], Told],
    world: PgWorld,
) -> None:
    http, api = client
    worker = told("chaingraph-worker")
    world.store_flow(flow(node("a"), node("b", "DebugLogNode")), "V2traced")
    headers = {"traceparent": CALLER}
    body = {"flowId": "V2traced"}
    answer = http.post("/api/v1/executions", json=body, headers=headers)
    execution_id = answer.get_json()["id"]
    http.post(f"/api/v1/executions/{execution_id}/start")
    http.get(f"/api/v1/executions/{execution_id}")
    assert run(process, worker) == 1

    spans = [*api.spans, *worker.spans]
    assert {span.context.trace_id for span in spans} == {trace_id_of(execution_id)}
    start = "POST /api/v1/executions/<execution_id>/start"
    named = by_name(spans)
    assert sorted(span.name for span in spans) == sorted(
        ["create execution", start, "run execution", "TextNode", "DebugLogNode"]
    )
    assert named["create execution"].parent is None
    assert parent_of(named[start], spans) == "create execution"
    assert parent_of(named["run execution"], spans) == "create execution"
    assert parent_of(named["TextNode"], spans) == "run execution"
    assert parent_of(named["DebugLogNode"], spans) == "run execution"
    assert named["run execution"].attributes["chaingraph.end"] == "finished"
    # Whoever asked finds the execution's trace by a link from it, and keeps its own.
    [link] = named["create execution"].links
    assert f"{link.context.trace_id:032x}" == CALLER.split("-")[1]
    assert {span.resource.attributes["service.name"] for span in api.spans} == {"chaingraph-api"}


def test_every_attempt_and_every_run_is_told(
    process: Process, told: Callable[[str], Told], world: PgWorld
) -> None:
    worker = told("w")
    retry = {"maxAttempts": 2, "backoffMs": 0}
    execution_id = execution_of(world, flow(node("a", "Boom", retry=retry)))
    run(process, worker, node_that(fail, "Boom"))
    attempts = [span for span in worker.spans if span.name == "Boom"]
    assert [span.attributes["chaingraph.attempt"] for span in attempts] == [1, 2]
    for span in attempts:
        assert span.status.status_code is StatusCode.ERROR
        # What it says may be a secret.
        assert span.status.description == "NodeError"
        assert not span.events
    assert attempts[0].context.trace_id == trace_id_of(execution_id)


def test_a_recovery_is_told_and_the_next_run_is_of_the_same_trace(
    process: Process, other: Process, told: Callable[[str], Told], world: PgWorld
) -> None:
    first, second = told("w1"), told("w2")
    execution_id = execution_of(world, flow(node("a")))
    lost = process.claim(process.around(), execution_id)
    world.take_over(execution_id)
    second.traces.tracing.recovered(execution_id, "worker_died", "w1")
    assert run(other, second) == 1
    assert lost.drive() is RunEnd.LOST
    spans = [*first.spans, *second.spans]
    assert {span.context.trace_id for span in spans} == {trace_id_of(execution_id)}
    recovery = by_name(spans)["recover execution"]
    assert recovery.attributes["chaingraph.recovery.reason"] == "worker_died"
    assert by_name(spans)["run execution"].attributes["chaingraph.epoch"] == 3


def test_a_node_may_have_spans_of_its_own_below_its_span(
    process: Process, told: Callable[[str], Told], world: PgWorld
) -> None:
    worker = told("w")
    seen: list[int] = []
    probe = node_that(lambda _: seen.append(trace.get_current_span().get_span_context().span_id))
    execution_of(world, flow(node("a", "ProbeNode")))
    run(process, worker, probe)
    assert seen == [by_name(worker.spans)["ProbeNode"].context.span_id]


def test_a_sleep_is_no_error(process: Process, told: Callable[[str], Told], world: PgWorld) -> None:
    worker = told("w")
    execution_of(world, flow(node("a", "SleepNode", values={"duration": 10})))
    run(process, worker)
    span = by_name(worker.spans)["SleepNode"]
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["chaingraph.outcome"] == "waits"


def test_all_processes_sample_alike(
    process: Process,
    told: Callable[[str], Told],
    world: PgWorld,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    api, worker = told("api"), told("w")
    ids = [execution_of(world, flow(node("a"))) for _ in range(16)]
    api.traces.tracing.created(ids)
    assert run(process, worker) == 16
    sampled = {span.context.trace_id for span in api.spans}
    assert 0 < len(sampled) < 16
    assert {span.context.trace_id for span in worker.spans} == sampled
    assert len(worker.spans) == 2 * len(sampled)


@pytest.mark.parametrize(
    ("environ", "exporter"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"}, None),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, None),
    ],
)
def test_the_variables_of_opentelemetry_decide(environ: dict[str, str], exporter: str) -> None:
    assert trace_exporter(environ) == exporter


def test_what_is_not_installed_is_said_and_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setitem(exporting._EXPORTERS, "otlp", ("opentelemetry.nowhere", "Exporter"))
    with caplog.at_level(logging.WARNING):
        assert open_traces("x") == Traces()
    assert "chaingraph-celery[otel]" in caplog.text


def test_nothing_is_loaded_where_nothing_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
    assert open_traces("x").tracing is UNTRACED
    assert not [each for each in sys.modules if each.startswith("opentelemetry")]
