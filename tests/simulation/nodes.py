"""Nodes and flows of simulated executions. What a node does is told to the world it runs in."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from app.errors import NodeError
from app.executions.plans import PlanCache
from app.nodes.registry import builtin_catalogue
from app.nodes.sdk import NodeContext, Port, node, spec_of
from tests.simulation.fanning import CONCURRENCY, FLOW, ITEMS, NODE
from tests.simulation.signalling import NAME

HandedOn = Annotated[str, Port(direction="passthrough")]

#: (context, what): hears of what nodes do. Set by the world that runs.
Stage = Callable[[NodeContext, str], object]
_stage: list[Stage] = []


def set_stage(stage: Stage | None) -> None:
    """Have the nodes tell this world; None for nobody."""
    _stage[:] = [] if stage is None else [stage]


def _tell(ctx: NodeContext, what: str) -> None:
    _stage[0](ctx, what)


@node("EffectNode", category="test")
def effect(ctx: NodeContext, text: HandedOn = "") -> None:
    """Does one thing to the outside."""
    _tell(ctx, "began")
    _tell(ctx, "effect")


@node("PureNode", category="test", effects=False)
def pure(ctx: NodeContext, text: HandedOn = "") -> None:
    """Touches nothing."""
    _tell(ctx, "began")


@node("TalkNode", category="test")
def talk(ctx: NodeContext, text: HandedOn = "") -> None:
    """Says something before and after it does something."""
    _tell(ctx, "began")
    ctx.log("before")
    ctx.sleep(20)
    _tell(ctx, "effect")
    ctx.log("after")


@node("SteadyNode", category="test")
def steady(ctx: NodeContext, text: HandedOn = "") -> None:
    """Takes long enough to be taken over meanwhile."""
    _tell(ctx, "began")
    ctx.sleep(1000)
    _tell(ctx, "effect")
    ctx.sleep(500)


@node("SlowNode", category="test")
def slow(ctx: NodeContext, text: HandedOn = "") -> None:
    """Takes longer than a lease."""
    _tell(ctx, "began")
    for _ in range(5):
        ctx.sleep(1000)
    _tell(ctx, "effect")


@node("FlakyNode", category="test")
def flaky(ctx: NodeContext, text: HandedOn = "") -> None:
    """Fails at its first attempt."""
    _tell(ctx, "began")
    _tell(ctx, "effect")
    if ctx.attempt == 1:
        _tell(ctx, "fails")
        raise NodeError("not yet")


@node("StuckNode", category="test")
def stuck(ctx: NodeContext, text: HandedOn = "") -> None:
    """Hears nothing until its time limit is long over, at its first attempt."""
    _tell(ctx, "began")
    if ctx.attempt == 1:
        _tell(ctx, "stuck")
    _tell(ctx, "effect")


@node("FailNode", category="test")
def failing(ctx: NodeContext, text: HandedOn = "") -> None:
    """Fails at every attempt."""
    _tell(ctx, "began")
    _tell(ctx, "fails")
    raise NodeError("no")


@node("TwinsNode", category="test")
def twins(ctx: NodeContext, text: HandedOn = "") -> None:
    """Emits two events, and does something in between."""
    _tell(ctx, "began")
    ctx.emit("ping", {"n": 1})
    _tell(ctx, "effect")
    ctx.emit("ping", {"n": 2})


_TARGETS = (failing, twins, effect, pure, talk, steady, slow, flaky, stuck)
_SPECS = {spec.type: spec for target in _TARGETS if (spec := spec_of(target))}

_MORE: dict[str, dict[str, Any]] = {
    "FlakyNode": {"retry": {"maxAttempts": 100, "backoffMs": 700}},
    "StuckNode": {"retry": {"maxAttempts": 100, "backoffMs": 20}, "timeoutMs": 400},
}


def _document(types: Sequence[str], edges: Sequence[tuple[int, int]]) -> dict[str, Any]:
    nodes = [
        {"id": f"{'abcdef'[at]}", "type": f"{type_}Node"} | _MORE.get(f"{type_}Node", {})
        for at, type_ in enumerate(types)
    ]
    ids = [each["id"] for each in nodes]
    return {
        "metadata": {"name": "simulated"},
        "nodes": nodes,
        "edges": [{"source": f"{ids[a]}.text", "target": f"{ids[b]}.text"} for a, b in edges],
    }


def _row(*types: str) -> dict[str, Any]:
    return _document(types, list(itertools.pairwise(range(len(types)))))


_SLEEPS = {
    "metadata": {"name": "simulated"},
    "nodes": [
        {"id": "a", "type": "EffectNode"},
        {"id": "b", "type": "SleepNode", "values": {"duration": 800}},
        {"id": "c", "type": "EffectNode"},
    ],
    "edges": [
        {"source": "a.__success", "target": "b.__execute"},
        {"source": "b.__success", "target": "c.__execute"},
    ],
}


def _after(source: str, target: str) -> dict[str, str]:
    return {"source": f"{source}.__success", "target": f"{target}.__execute"}


#: Three children, of which two come with an effect, and another parent among them.
_FAMILY = {
    "metadata": {"name": "simulated"},
    "nodes": [
        {"id": "a", "type": "EffectNode"},
        {"id": "b", "type": "TwinsNode"},
        {"id": "c", "type": "EventEmitterNode", "values": {"eventName": "pong"}},
        {"id": "d", "type": "EffectNode"},
        {"id": "ping", "type": "EventListenerNodeV2", "values": {"eventName": "ping"}},
        {"id": "e", "type": "EffectNode"},
        {"id": "pong", "type": "EventListenerNodeV2", "values": {"eventName": "pong"}},
        {"id": "f", "type": "EventEmitterNode", "values": {"eventName": "ping"}},
    ],
    "edges": [
        _after("a", "b"),
        _after("b", "c"),
        _after("c", "d"),
        _after("ping", "e"),
        _after("pong", "f"),
    ],
}
#: One that fails once it has a child.
_ORPHANS = {
    "metadata": {"name": "simulated"},
    "nodes": [
        {"id": "a", "type": "EventEmitterNode", "values": {"eventName": "ping"}},
        {"id": "b", "type": "SteadyNode"},
        {"id": "c", "type": "FailNode"},
        {"id": "ping", "type": "EventListenerNodeV2", "values": {"eventName": "ping"}},
        {"id": "d", "type": "SteadyNode"},
    ],
    "edges": [_after("a", "b"), _after("b", "c"), _after("ping", "d")],
}

#: One child for each item, with an effect.
_EACH = {
    "metadata": {"name": "simulated"},
    "nodes": [
        {"id": "a", "type": "EffectNode"},
        {
            "id": NODE,
            "type": "ForEachNode",
            "values": {
                "flowId": "V2talk",
                "items": [str(number) for number in range(ITEMS)],
                "itemTarget": "a.text",
                "concurrency": CONCURRENCY,
            },
        },
        {"id": "c", "type": "EffectNode"},
    ],
    "edges": [_after("a", NODE), _after(NODE, "c")],
}

#: One that has another flow run.
_CALLS = {
    "metadata": {"name": "simulated"},
    "nodes": [
        {"id": "a", "type": "EffectNode"},
        {"id": "b", "type": "RunFlowNode", "values": {"flowId": "V2row"}},
        {"id": "c", "type": "EffectNode"},
    ],
    "edges": [_after("a", "b"), _after("b", "c")],
}

#: How many children a node of a type makes, once it has completed.
EMITTED = {"TwinsNode": 2, "EventEmitterNode": 1, "ForEachNode": ITEMS, "RunFlowNode": 1}

#: Of three nodes two wait for one name, one of them not for long; and the owner has other work.
_SIGNALS = {
    "metadata": {"name": "simulated"},
    "nodes": [
        {"id": "a", "type": "EffectNode"},
        {"id": "b", "type": "WaitForSignalNode", "values": {"name": NAME, "timeoutMs": 800}},
        {"id": "c", "type": "WaitForSignalNode", "values": {"name": NAME}},
        {"id": "d", "type": "EffectNode"},
        {"id": "e", "type": "SteadyNode"},
        {"id": "f", "type": "WaitForSignalNode", "values": {"name": NAME}},
    ],
    "edges": [
        {"source": "a.__success", "target": "b.__execute"},
        {"source": "b.__success", "target": "d.__execute"},
        {"source": "d.__success", "target": "f.__execute"},
    ],
}
#: The same without other work: it parks.
_SIGNAL = {
    "metadata": {"name": "simulated"},
    "nodes": [
        {"id": "a", "type": "EffectNode"},
        {"id": "b", "type": "WaitForSignalNode", "values": {"name": NAME, "timeoutMs": 800}},
        {"id": "c", "type": "WaitForSignalNode", "values": {"name": NAME}},
        {"id": "d", "type": "EffectNode"},
    ],
    "edges": [
        {"source": "a.__success", "target": "c.__execute"},
        {"source": "c.__success", "target": "d.__execute"},
    ],
}
#: A queue that only a node names.
OTHER_QUEUE = "other"


def _queued(*nodes: str) -> dict[str, Any]:
    """Of the documents' nodes, these are of a queue of their own."""
    document = _document(("Effect", "Steady", "Talk", "Flaky", "Effect"), _FORK)
    for each in document["nodes"]:
        if each["id"] in nodes:
            each["queue"] = OTHER_QUEUE
    return document


#: One node, three side by side, one after them all.
_FORK = [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)]

#: Three rows side by side.
_BRAID = [(0, 3), (1, 4), (3, 5)]

#: Flow id and document of each, by how much they ask for.
FLOWS: dict[str, dict[str, Any]] = {
    "V2row": _row("Effect", "Effect", "Effect"),
    "V2pure": _row("Pure", "Effect", "Pure"),
    "V2talk": _row("Talk", "Effect"),
    "V2retry": _row("Effect", "Flaky", "Effect"),
    "V2wide": _document(("Effect", "Effect", "Flaky", "Effect"), [(0, 1), (0, 2), (1, 3), (2, 3)]),
    "V2braid": _document(("Talk", "Talk", "Steady", "Talk", "Effect", "Effect"), _BRAID),
    "V2sleep": _SLEEPS,
    "V2steady": _row("Effect", "Steady", "Steady"),
    "V2slow": _row("Effect", "Slow"),
    "V2stuck": _row("Stuck", "Effect"),
    "V2family": _FAMILY,
    "V2orphans": _ORPHANS,
    "V2calls": _CALLS,
    FLOW: _EACH,
    "V2signal": _SIGNAL,
    "V2signals": _SIGNALS,
    "V2aside": _queued("c", "d"),
    "V2queued": _queued("a", "b", "e"),
}

#: Those that wait for signals.
SIGNALLED = ("V2signal", "V2signals")


def limit_s(node_id: str) -> float:
    """How long a node that may time out waits: it is the same in every flow."""
    return {"b": 0.8}[node_id]


#: Short ones often, long ones now and then.
DRAWN = (
    ("V2row",) * 4
    + ("V2pure", "V2talk", "V2retry", "V2wide", "V2sleep") * 2
    + (
        "V2steady",
        "V2slow",
        "V2stuck",
        "V2family",
        "V2family",
        "V2orphans",
        "V2calls",
    )
)
#: Those with nodes of a queue of their own.
QUEUED = ("V2aside", "V2queued")
#: Those that take no long time.
SHORT = ("V2row", "V2pure", "V2talk", "V2retry", "V2wide", "V2sleep", "V2family")
#: Those that have children.
FAMILIES = ("V2family", "V2family", "V2orphans")

#: Types that tell nothing of themselves.
SILENT = frozenset(builtin_catalogue())


def _warm_plans() -> PlanCache:
    """Compiled once: a schedule must not depend on those before it."""
    plans = PlanCache({**builtin_catalogue(), **_SPECS})
    for flow_id, document in FLOWS.items():
        text = json.dumps(document)
        plans.get(flow_id, 1, lambda *_, text=text: text)
    return plans


PLANS = _warm_plans()
