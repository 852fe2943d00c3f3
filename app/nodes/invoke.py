"""Runs one node: inputs checked against its ports before, outputs after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.errors import NodeError
from app.nodes.spec import NodeContext, NodeSpec
from app.nodes.streams import OutputStream, StoredStream, Stream
from app.values.checks import check_value, is_of_other_type
from app.values.plain import plain_copy
from app.values.ports import Direction, Missing, PortConfig, PortType, Value
from app.values.streams import stream_value
from app.values.structure import structure_fault


def run_node_function(
    spec: NodeSpec,
    inputs: Mapping[str, Value],
    ctx: NodeContext,
    shaped: Mapping[str, PortConfig] | None = None,
) -> dict[str, Value]:
    """Run the node once and give its outputs and passthroughs as JSON.

    `inputs` are its values by root port id; defaults fill in what is missing. Values are
    checked against the ports of the type, not against what a document made of them; only
    the objects and arrays that it asks for in `shaped` have to be there in the outputs. Ports
    that the node did not set are left out. Raises NodeError, naming the port, for a value that
    a port does not allow, and whatever the node raises.
    """
    given = _given(spec, inputs)
    # Copied before the node sees them: a node may change its own input in place.
    handed_on = {
        port: plain_copy(given[port])
        for port, config in spec.ports.items()
        if config.direction is Direction.PASSTHROUGH and port in given
    }
    returned = spec.invoke(given, ctx)
    return {**handed_on, **_outputs(spec, returned, shaped or {})}


def _given(spec: NodeSpec, inputs: Mapping[str, Value]) -> dict[str, Value]:
    given: dict[str, Value] = {}
    for port, config in spec.ports.items():
        if not config.takes_input:
            continue
        if port in inputs and not (port in spec.lenient and is_of_other_type(config, inputs[port])):
            if isinstance(inputs[port], Stream):
                given[port] = inputs[port]
                continue
            fault = check_value(config, inputs[port])
            if fault is not None:
                raise NodeError(f"port '{port}': {fault}")
            given[port] = _readable(config, inputs[port])
        elif not isinstance(config.default, Missing):
            given[port] = _readable(config, plain_copy(config.default))
    return given


def _readable(config: PortConfig, value: Value) -> Any:
    """A value as the node is given it: a stream is read."""
    is_stream = config.type is PortType.STREAM and value is not None
    return StoredStream(value) if is_stream else value


def _as_value(config: PortConfig, returned: Any) -> Any:
    """What a node returned as a value: items are a stream of them."""
    is_stream = config.type is PortType.STREAM and isinstance(returned, list | tuple)
    return stream_value(returned) if is_stream else returned


def _outputs(
    spec: NodeSpec, returned: Mapping[str, Any], shaped: Mapping[str, PortConfig]
) -> dict[str, Value]:
    outputs: dict[str, Value] = {}
    for port, value in returned.items():
        config = spec.ports.get(port)
        if config is None or not config.gives_output:
            raise NodeError(f"the node set '{port}', which is none of its outputs")
        if config.type is PortType.STREAM and (value is None or isinstance(value, OutputStream)):
            # What was sent is known to whoever runs the node.
            continue
        try:
            copied = plain_copy(_as_value(config, value))
        except ValueError as error:
            raise NodeError(f"output '{port}' is no value: {error}") from error
        fault = check_value(config, copied)
        if fault is None and port in shaped:
            fault = structure_fault(shaped[port], copied)
        if fault is not None:
            raise NodeError(f"output '{port}': {fault}")
        outputs[port] = copied
    return outputs
