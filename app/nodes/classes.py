"""A class as a node: its own state for one run, and ports that follow from its configuration.

What its constructor takes is its configuration; `run` (or `__call__`) is read as a function is.
Each run of the node makes an instance. A class with a method `ports` has more ports than those:
the ones that an instance, made of the values that a document stores, says it has. Their inputs
come to `run` as `**values`, and `run` returns a dict of all outputs by port id.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from app.errors import NodeError
from app.nodes.asynchronous import awaited
from app.nodes.binding import (
    Parameters,
    Result,
    add_port,
    joined_ports,
    read_parameters,
    read_port,
    read_result,
)
from app.nodes.docstrings import NodeText
from app.nodes.shapes import defaults_of, hints_of
from app.nodes.spec import NodeContext
from app.values.checks import check_value
from app.values.ports import PortConfig, Value

#: The methods that may run a node, in the order in which they are looked for.
_RUNNERS = ("run", "__call__")


@dataclasses.dataclass(frozen=True, slots=True)
class NodeClass:
    """A class, read: how to make an instance, how to run it, and what ports that takes."""

    cls: type
    runner: str
    ports: Mapping[str, PortConfig]
    configuration: Parameters
    parameters: Parameters
    result: Result
    has_more_ports: bool
    takes_more: bool

    def invoke(self, inputs: Mapping[str, Value], ctx: NodeContext) -> Mapping[str, Value]:
        """Run the node once, on an instance of its own."""
        instance = self.cls(**self.configuration.bind(inputs, ctx))
        more = {port: inputs[port] for port in inputs if port not in self.ports}
        run = getattr(instance, self.runner)
        returned = run(**self.parameters.bind(inputs, ctx), **more)
        return self.result.spread(awaited(returned, ctx))

    def more_ports(self, values: Mapping[str, Value]) -> Mapping[str, PortConfig]:
        """The ports that follow from these stored values.

        Raises ValueError with a sentence on why there are none.
        """
        taken = {
            "self",
            self.parameters.context,
            *(each.name for each in self.parameters.arguments),
        }
        more: dict[str, PortConfig] = {}
        for port, annotation in self._described(values).items():
            config = read_port(port, annotation)
            if port in self.ports or (config.takes_input and port in taken):
                raise ValueError(f"two of its ports have the name '{port}'")
            add_port(more, port, config)
            if config.takes_input and not self.takes_more:
                raise ValueError(f"its {self.runner} takes no **values, and so no port '{port}'")
        return more

    def _described(self, values: Mapping[str, Value]) -> Mapping[str, Any]:
        for port, config in self.configuration.ports.items():
            fault = check_value(config, values[port]) if port in values else None
            if fault is not None:
                raise ValueError(f"port '{port}': {fault}")
        try:
            described: Mapping[str, Any] = self.cls(**self.configuration.bind(values, None)).ports()
        except NodeError as error:
            raise ValueError(error.message) from error
        # The author's own code, which refuses a configuration by whatever it raises.
        except Exception as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        return described


def read_class(cls: type, text: NodeText, scope: Mapping[str, Any]) -> NodeClass:
    """Read a node class; raises ValueError with a sentence on what is written wrongly."""
    runner, method = _runner(cls)
    hints = hints_of(method, "its annotations", scope)
    has_more_ports = callable(getattr(cls, "ports", None))
    parameters = _parameters_of(method)
    takes_more = has_more_ports and any(each.kind is each.VAR_KEYWORD for each in parameters)
    if takes_more:
        parameters = [each for each in parameters if each.kind is not each.VAR_KEYWORD]
    configuration = _read_constructor(cls, scope)
    read = read_parameters(parameters, hints)
    result = read_result(hints, by_port=has_more_ports)
    ports = joined_ports(text, configuration.ports, read.ports, result.ports)
    return NodeClass(cls, runner, ports, configuration, read, result, has_more_ports, takes_more)


def runner_of(cls: type) -> Callable[..., Any]:
    """The method of a class that runs the node; raises ValueError where it has none."""
    return _runner(cls)[1]


def _runner(cls: type) -> tuple[str, Callable[..., Any]]:
    for name in _RUNNERS:
        method = getattr(cls, name, None)
        if inspect.isfunction(method):
            return name, method
    raise ValueError("the class has neither a method run nor __call__")


def _read_constructor(cls: type, scope: Mapping[str, Any]) -> Parameters:
    constructor = inspect.getattr_static(cls, "__init__")
    if not inspect.isfunction(constructor):
        return Parameters({}, (), None)
    hints = hints_of(constructor, "its annotations", scope)
    if NodeContext in hints.values():
        raise ValueError("its constructor takes a NodeContext, which is for run alone")
    defaults = defaults_of(cls)
    parameters = [
        # A dataclass makes such a default anew for each instance.
        each.replace(default=defaults[each.name]) if each.name in defaults else each
        for each in _parameters_of(constructor)
    ]
    return read_parameters(parameters, hints)


def _parameters_of(method: Callable[..., Any]) -> list[inspect.Parameter]:
    """A method's parameters without `self`."""
    return list(inspect.signature(method).parameters.values())[1:]
