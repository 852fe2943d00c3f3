"""Nodes that steer a flow: comparisons, cases, gates."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from app.errors import NodeError
from app.nodes.sdk import NodeContext, Port, node
from app.nodes.timer import Sleeping
from app.values.javascript import to_number, to_text, utf16_key
from app.values.ports import Value

CATEGORY = "flow"

#: The longest sleep, in milliseconds: a hundred years.
LONGEST_SLEEP_MS = 100 * 365 * 86_400_000

Operator = Literal[
    "equals",
    "notEquals",
    "greaterThan",
    "lessThan",
    "greaterThanOrEquals",
    "lessThanOrEquals",
    "contains",
    "notContains",
    "startsWith",
    "endsWith",
]


@node(
    "BranchNode",
    category=CATEGORY,
    effects=False,
    in_place=True,
    tags=("condition", "if", "compare"),
)
def branch(
    left_value: Annotated[Any, Port("leftValue")] = None,
    operator: Operator | None = "equals",
    right_value: Annotated[Any, Port("rightValue")] = None,
) -> Annotated[bool, Port("result", default=False)]:
    """Compares two values as JavaScript would.

    Ports: `leftValue` stands before the operator, `operator` says how to compare,
    `rightValue` stands after it, `result` whether the comparison holds.
    """
    if operator is None:
        raise NodeError("no operator is set")
    return _OPERATORS[operator](left_value, right_value)


class SwitchResult(NamedTuple):
    """A boolean per case, and whether none of them was it."""

    case_object: Annotated[dict[str, bool], Port("caseObject", mutable=True)]
    default: Annotated[bool, Port(default=False)]


@node("SwitchNode", category=CATEGORY, effects=False, in_place=True, tags=("condition", "case"))
def switch(ctx: NodeContext, input: str | None = "") -> SwitchResult:  # noqa: A002
    """Sets the case that equals the input.

    Ports: `input` the text to look for, `caseObject` true for the case that equals it and
    false for the others, `default` true if no case does.
    """
    cases = ctx.schema("caseObject").properties or {}
    return SwitchResult({case: case == input for case in cases}, input not in cases)


@node(
    "GateNodeV2",
    category=CATEGORY,
    title="Gate",
    effects=False,
    in_place=True,
    tags=("join", "barrier"),
)
def gate_v2(
    gate: Annotated[dict[str, Any] | None, Port(direction="passthrough", mutable=True, default={})],
) -> Annotated[dict[str, Any] | None, Port("gate")]:
    """Waits until every connected input is there, and hands them on.

    Ports: `gate` the inputs, each of them an output too.
    """
    return gate


@node(
    "GateNode",
    category=CATEGORY,
    effects=False,
    in_place=True,
    deprecated=True,
    tags=("join", "route"),
)
def gate_node(
    input_object: Annotated[dict[str, Any] | None, Port("inputObject", mutable=True, default={})],
    connections_map: Annotated[str | None, Port("connectionsMap")] = "{}",
) -> Annotated[dict[str, Any], Port("outputObject", mutable=True, default={})]:
    """Copies fields of its input to fields of its output.

    Ports: `inputObject` what came in, `connectionsMap` a JSON object from input fields to
    output fields, `outputObject` the fields that are mapped.
    """
    given = input_object or {}
    mapping = _connections(connections_map or "{}")
    return {target: given[source] for source, target in mapping.items() if source in given}


@node(
    "IsRootExecutionNode", category=CATEGORY, effects=False, in_place=True, tags=("root", "child")
)
def is_root_execution(ctx: NodeContext) -> Annotated[bool, Port("isRoot", default=False)]:
    """Tells whether the execution was started from outside.

    Ports: `isRoot` false in a child execution.
    """
    return not ctx.is_child


@node("GroupNode", category="group", title="Group", effects=False, in_place=True, tags=("group",))
def group() -> None:
    """Holds nodes: completes once all of them have settled, in whatever way."""


@node("EventEmitterNode", category=CATEGORY, effects=False, in_place=True, tags=("event", "emit"))
def event_emitter(
    ctx: NodeContext,
    event_name: Annotated[str | None, Port("eventName")] = "",
    payload: Annotated[dict[str, Any] | None, Port(mutable=True, default={})] = None,
) -> None:
    """Emits an event: a child execution of this flow runs what listens for it.

    Ports: `eventName` the event, `payload` what comes with it.
    """
    if not event_name:
        raise NodeError("eventName is empty: an event needs a name")
    ctx.emit(event_name, payload or {})


@node(
    "EventListenerNodeV2",
    category=CATEGORY,
    title="Event Listener",
    effects=False,
    in_place=True,
    tags=("event", "listen"),
)
def event_listener_v2(
    ctx: NodeContext,
    event_name: Annotated[str | None, Port("eventName")] = "",  # noqa: ARG001 — the plan reads it
    event_schema: Annotated[  # noqa: ARG001 — passed through
        dict[str, Any] | None,
        Port("eventSchema", direction="passthrough", mutable=True, default={}),
    ] = None,
) -> Annotated[dict[str, Any], Port("eventPayload", mutable=True, default={})]:
    """Hands on what came with its event. Takes part in no other execution than one for it.

    Ports: `eventName` the event, as the document stores it, `eventSchema` the schema of what
    comes with it, `eventPayload` what came, or an empty object.
    """
    return _payload(ctx)


@node(
    "EventListenerNode",
    category=CATEGORY,
    title="Event Listener (old)",
    effects=False,
    in_place=True,
    deprecated=True,
    tags=("event", "listen"),
)
def event_listener(
    ctx: NodeContext,
    event_name: Annotated[str | None, Port("eventName")] = "",  # noqa: ARG001 — the plan reads it
) -> Annotated[dict[str, Any], Port("outputData", mutable=True, default={})]:
    """Hands on what came with its event: the older form of EventListenerNodeV2.

    Ports: `eventName` the event, as the document stores it, `outputData` what came, or an
    empty object.
    """
    return _payload(ctx)


@node("SleepNode", category=CATEGORY, in_place=True, tags=("delay", "timer", "wait"))
def sleep(
    duration: Annotated[float, Port(min=0)] = 1000,
) -> Annotated[float, Port("actualDuration", default=0)]:
    """Lets time pass. A sleep over 100 ms holds no worker, and outlives any.

    Ports: `duration` how long, in milliseconds, `actualDuration` how long it was.
    """
    if duration > LONGEST_SLEEP_MS:
        raise NodeError(f"duration is {duration:g} ms; at most {LONGEST_SLEEP_MS} are allowed")
    raise Sleeping(math.ceil(max(duration, 0)), "actualDuration")


def _payload(ctx: NodeContext) -> dict[str, Any]:
    payload = (ctx.event or {}).get("payload")
    return payload if isinstance(payload, dict) else {}


def _connections(text: str) -> Mapping[str, str]:
    try:
        mapping = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NodeError(f"connectionsMap is not JSON: {error}") from error
    if not isinstance(mapping, dict) or not all(isinstance(to, str) for to in mapping.values()):
        raise NodeError("connectionsMap is not an object of texts")
    return mapping


def _numbers(left: Value, right: Value) -> tuple[float, float] | None:
    numbers = to_number(left), to_number(right)
    return None if any(map(math.isnan, numbers)) else numbers


def _equals(left: Value, right: Value) -> bool:
    if left is None or right is None:
        return left is None and right is None
    numbers = _numbers(left, right)
    if numbers is not None:
        return numbers[0] == numbers[1]
    # Only texts are left to be equal: objects are compared by identity, and values are copies.
    return isinstance(left, str) and left == right


def _text(value: Value) -> str:
    return "" if value is None else to_text(value)


def _order(left: Value, right: Value) -> int:
    numbers = _numbers(left, right)
    if numbers is not None:
        return (numbers[0] > numbers[1]) - (numbers[0] < numbers[1])
    texts = utf16_key(_text(left)), utf16_key(_text(right))
    return (texts[0] > texts[1]) - (texts[0] < texts[1])


_OPERATORS: Mapping[str, Callable[[Value, Value], bool]] = {
    "equals": _equals,
    "notEquals": lambda left, right: not _equals(left, right),
    "greaterThan": lambda left, right: _order(left, right) > 0,
    "lessThan": lambda left, right: _order(left, right) < 0,
    "greaterThanOrEquals": lambda left, right: _order(left, right) >= 0,
    "lessThanOrEquals": lambda left, right: _order(left, right) <= 0,
    "contains": lambda left, right: _text(right) in _text(left),
    "notContains": lambda left, right: _text(right) not in _text(left),
    "startsWith": lambda left, right: _text(left).startswith(_text(right)),
    "endsWith": lambda left, right: _text(left).endswith(_text(right)),
}
