"""What must hold of everything that was created, whatever was lost: looked at from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.chaos.load import Load
from tests.system.ledger import Ledger
from tests.system.stack import Stack
from tests.system.traces import Trace, ask


def faults(stack: Stack, url: str, load: Load, ledger: Ledger) -> Iterator[str]:
    """Each promise that was broken, in a sentence. `url` leads to PostgreSQL itself."""
    yield from load.faults
    yield from _of_the_tables(url, load)
    for execution_id in load.created:
        trace = Trace(stack, execution_id)
        yield from (f"{execution_id}: {each}" for each in _of(trace, load, ledger))


def _of_the_tables(url: str, load: Load) -> Iterator[str]:
    [(executions, alive)] = ask(
        url,
        "SELECT count(*), count(*) FILTER (WHERE completed_at IS NULL) FROM chaingraph_executions",
    )
    if executions != len(load.created):
        yield f"{executions} executions are there, {len(load.created)} were answered with 201"
    if alive:
        yield f"1: {alive} executions never ended"
    [(claims,)] = ask(
        url, "SELECT count(*) FROM chaingraph_execution_claims WHERE status = 'active'"
    )
    if claims:
        yield f"8: {claims} claims are held by what has ended"


def _of(trace: Trace, load: Load, ledger: Ledger) -> Iterator[str]:
    status = trace.execution["status"]
    try:
        if status == "completed":
            trace.assert_completed_once()
        else:
            trace.assert_whole(status)
    except AssertionError as error:
        yield f"4, 5: {error}"
    yield from _of_what_was_answered(trace, status, load)
    yield from _of_effects(trace, ledger)
    yield from _of_nodes(trace)


def _of_what_was_answered(trace: Trace, status: str, load: Load) -> Iterator[str]:
    if trace.id in load.stopped and status != "stopped":
        yield f"6: a stop was answered with 202, it is {status}"
    if status == "failed":
        yield f"failed: {trace.execution['errorMessage']}"
    if trace.id not in load.watched:
        return
    read = load.watched[trace.id]
    if list(read.values()) != trace.events:
        yield "4: a watcher read other events than there are"
    if (load.ends[trace.id], load.statuses.get(trace.id)) != (1, status):
        yield f"a watcher had {load.ends[trace.id]} ends, {load.statuses.get(trace.id)}"


def _of_effects(trace: Trace, ledger: Ledger) -> Iterator[str]:
    starts = {node: len(attempts) for node, attempts in trace.attempts().items()}
    for node, count in ledger.counts(trace.id).items():
        if count > starts.get(node, 0):
            yield f"3: node {node} had {count} effects in {starts.get(node, 0)} attempts"
    completed = {event["data"]["nodeId"] for event in trace.of_type("node:completed")}
    types = {
        event["data"]["nodeId"]: event["data"]["nodeType"]
        for event in trace.of_type("node:started")
    }
    effectful = {node for node in completed if types.get(node) == "HttpRequestNode"}
    if missing := effectful - ledger.counts(trace.id).keys():
        yield f"7: {missing} completed without an effect"


def _of_nodes(trace: Trace) -> Iterator[str]:
    ended: Counter[str] = Counter()
    for event in trace.events:
        node = event["data"].get("nodeId")
        if event["type"] == "node:started" and ended[node]:
            yield f"2: node {node} started again after its checkpoint"
        if event["type"] == "node:completed":
            ended[node] += 1
