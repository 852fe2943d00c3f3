"""A run whose process was frozen between its claim and its reads: others went on meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.engine import Engine
from app.executions.plans import PlanCache
from app.executions.run import Run, RunEnd
from app.executions.surroundings import Surroundings
from app.nodes.registry import builtin_catalogue
from app.store.records import Claimed, Fence, Parked, SentStep, StoredCheckpoint, Void
from tests.world import OPTIONS

DOCUMENT = json.dumps(
    {
        "metadata": {"name": "x"},
        "nodes": [{"id": "a", "type": "TextNode"}, {"id": "b", "type": "TextNode"}],
        "edges": [{"source": "a.text", "target": "b.text"}],
    }
)
RESULT = json.dumps({"outputs": {"text": "old"}, "executionMs": 1, "events": []})
CLAIMED = Claimed(
    fence=Fence("EX1", 1),
    writes=1,
    wake=0,
    flow_id="V2",
    flow_version=1,
    owner_id="local",
    root_execution_id="EX1",
    parent_execution_id=None,
    begun=True,
    options=json.dumps(OPTIONS),
    inputs=None,
    integration=None,
    grants='{"a": 1}',
    running_ms=0,
    deadline_in_ms=None,
)


class Store:
    """The result of `a` is still there, and a checkpoint of `a` already."""

    def document(self, *_: object) -> str:
        return DOCUMENT

    def sent_steps(self, _: str) -> list[SentStep]:
        return [SentStep("a", 1, "released", RESULT)]

    def checkpoints(self, _: str) -> list[StoredCheckpoint]:
        outputs = '{"text":"new"}'
        return [StoredCheckpoint("a", 0, "completed", 1, outputs, None, None, None)]

    def write(self, *_: object) -> Void:
        return Void()

    def park(self, *_: object) -> Parked | Void:
        return Void()


def test_what_is_settled_is_not_settled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[int] = []
    monkeypatch.setattr(Engine, "complete", lambda _, node, *__: settled.append(node))
    store: Any = Store()
    around = Surroundings(
        store=store,
        publish=lambda *_: None,
        plans=PlanCache(builtin_catalogue()),
        launch=lambda _: pytest.fail("nothing begins in a run that is another's"),
        clock=lambda: 0.0,
        pause=lambda _: None,
        lease_s=10.0,
        max_value_bytes=1000,
        is_draining=lambda: False,
        send=lambda *_: None,
        sends_all=True,
    )

    assert Run(CLAIMED, around, 0.0).drive() is RunEnd.LOST

    assert settled == []
