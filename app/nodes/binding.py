"""From a function's signature to ports, and from port values to a call and back."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from app.errors import NodeError
from app.nodes.docstrings import NodeText
from app.nodes.shapes import Read, Shape, defaults_of, fields_of, hints_of, required_of, shape_of
from app.nodes.soundness import config_fault
from app.nodes.spec import NodeContext
from app.values.checks import check_value
from app.values.plain import plain_copy
from app.values.ports import SYSTEM_PORTS, Direction, Missing, PortConfig, PortType, Value

#: Marks a parameter that was given no value and has no default.
_NO_VALUE = object()


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter that a port feeds."""

    name: str
    port: str
    nullable: bool
    read: Read | None
    optional: bool
    lenient: bool

    def take(self, inputs: Mapping[str, Value]) -> Any:
        """Give the value for the call, `_NO_VALUE` to leave the default to Python."""
        value = inputs.get(self.port, _NO_VALUE)
        if value is _NO_VALUE:
            if self.optional:
                return value
            if not self.nullable:
                raise NodeError(f"port '{self.port}' has no value")
            return None
        if value is None:
            if not self.nullable:
                raise NodeError(f"port '{self.port}' is null")
            return None
        return value if self.read is None else self.read(value)


@dataclass(frozen=True, slots=True)
class Result:
    """How the returned object turns into outputs by port id."""

    ports: Mapping[str, PortConfig]
    spread: Callable[[Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Parameters:
    """A function's parameters, read: the ports that feed them, and which one is the context."""

    ports: Mapping[str, PortConfig]
    arguments: tuple[Argument, ...]
    context: str | None

    @property
    def lenient(self) -> frozenset[str]:
        """The ports at which a value of another type counts as the default."""
        return frozenset(argument.port for argument in self.arguments if argument.lenient)

    def bind(self, inputs: Mapping[str, Value], ctx: NodeContext | None) -> dict[str, Any]:
        """Give the keyword arguments of one call; raises NodeError for a missing value."""
        bound: dict[str, Any] = {} if self.context is None else {self.context: ctx}
        for argument in self.arguments:
            value = argument.take(inputs)
            if value is not _NO_VALUE:
                bound[argument.name] = value
        return bound


@dataclass(frozen=True, slots=True)
class Signature:
    """A node function, read: its ports in order, and how to call it."""

    ports: Mapping[str, PortConfig]
    parameters: Parameters
    result: Result


def read_signature(
    function: Callable[..., Any], text: NodeText, scope: Mapping[str, Any]
) -> Signature:
    """Read a node function, whose docstring is `text`.

    `scope` are the names around its definition. Raises ValueError with a sentence on what is
    written wrongly.
    """
    hints = hints_of(function, "its annotations", scope)
    parameters = read_parameters(inspect.signature(function).parameters.values(), hints)
    result = read_result(hints)
    return Signature(joined_ports(text, parameters.ports, result.ports), parameters, result)


def read_parameters(
    parameters: Iterable[inspect.Parameter], hints: Mapping[str, Any]
) -> Parameters:
    """Read the parameters of a function; raises ValueError as `read_signature` does."""
    ports: dict[str, PortConfig] = {}
    arguments: list[Argument] = []
    context: str | None = None
    for parameter in parameters:
        if hints.get(parameter.name) is NodeContext:
            if context is not None:
                raise ValueError(f"both '{context}' and '{parameter.name}' are its NodeContext")
            context = parameter.name
            continue
        argument, config = _argument(parameter, hints)
        add_port(ports, argument.port, config)
        arguments.append(argument)
    return Parameters(ports, tuple(arguments), context)


def joined_ports(text: NodeText, *groups: Mapping[str, PortConfig]) -> dict[str, PortConfig]:
    """The ports of a node from all that brings any, with what its docstring says of them."""
    ports: dict[str, PortConfig] = {}
    for group in groups:
        for port, config in group.items():
            # A node may set a passthrough of its own; anything else by that name is a clash.
            if (
                port not in ports
                or config.takes_input
                or ports[port].direction is not Direction.PASSTHROUGH
            ):
                add_port(ports, port, config)
    texts = text.of_ports(ports)
    return {
        port: dataclasses.replace(config, description=config.description or texts.get(port, ""))
        for port, config in ports.items()
    }


def _argument(
    parameter: inspect.Parameter, hints: Mapping[str, Any]
) -> tuple[Argument, PortConfig]:
    name = parameter.name
    if parameter.kind not in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
        raise ValueError(f"its parameter '{name}' can't be a port: ports are given by name")
    if name not in hints:
        raise ValueError(f"its parameter '{name}' has no annotation")
    shape = _shape(f"its parameter '{name}'", hints[name])
    port = shape.port.id or name
    config = _with_default(f"its parameter '{name}'", shape, parameter.default)
    if config.direction is Direction.OUTPUT:
        raise ValueError(f"its parameter '{name}' is an output; outputs are returned")
    if config.type is PortType.STREAM and config.direction is Direction.PASSTHROUGH:
        raise ValueError(f"its parameter '{name}' is a stream, which can't be handed on as it is")
    optional = parameter.default is not parameter.empty
    argument = Argument(name, port, shape.nullable, shape.read, optional, shape.port.lenient)
    return argument, _with_required(shape, config)


def _shape(what: str, annotation: Any) -> Shape:
    try:
        shape = shape_of(annotation)
    except ValueError as error:
        raise ValueError(f"{what} {error}") from error
    except RecursionError as error:
        raise ValueError(f"{what} has a type that contains itself") from error
    fault = config_fault(shape.config)
    if fault is not None:
        raise ValueError(f"{what} {fault}")
    return shape


def read_port(port: str, annotation: Any) -> PortConfig:
    """The config of a port that an annotation alone describes.

    Raises ValueError as `read_signature` does.
    """
    what = f"its port '{port}'"
    shape = _shape(what, annotation)
    config = _with_default(what, shape, inspect.Parameter.empty)
    if shape.port.id not in (None, port):
        raise ValueError(f"{what} has another name, '{shape.port.id}'")
    return _with_required(shape, config) if config.takes_input else config


def _with_required(shape: Shape, config: PortConfig) -> PortConfig:
    """Nothing but a value will do, where there is no default and None isn't welcome."""
    if shape.port.required is not None:
        return config
    required = isinstance(config.default, Missing) and not shape.nullable
    return dataclasses.replace(config, required=required)


def _with_default(what: str, shape: Shape, default: Any) -> PortConfig:
    config = shape.config
    if default is not inspect.Parameter.empty and default is not None:
        if not isinstance(config.default, Missing):
            raise ValueError(f"{what} has two defaults")
        try:
            config = dataclasses.replace(config, default=plain_copy(default))
        except ValueError as error:
            raise ValueError(f"{what} has a default that is no value: {error}") from error
    if not isinstance(config.default, Missing):
        fault = check_value(config, config.default)
        if fault is not None:
            raise ValueError(f"{what} has a default that it does not allow: {fault}")
    return config


def add_port(ports: dict[str, PortConfig], port: Any, config: PortConfig) -> None:
    """Add a port by its id; raises ValueError where it can't have that."""
    if not isinstance(port, str) or not port or set(port) & set(".[]"):
        raise ValueError(f"its port '{port}' has a name with a dot or a bracket, or none")
    if port in SYSTEM_PORTS or port.startswith("__"):
        raise ValueError(f"its port '{port}' has the name of a system port")
    if port in ports:
        raise ValueError(f"two of its ports have the name '{port}'")
    ports[port] = config


def read_result(hints: Mapping[str, Any], *, by_port: bool = False) -> Result:
    """Read the return annotation; `by_port` also takes a dict of all outputs by their ids.

    Raises ValueError as `read_signature` does.
    """
    if "return" not in hints:
        raise ValueError("it has no return annotation (None, if it has no outputs)")
    returned = hints["return"]
    if returned is type(None):
        return Result({}, _nothing)
    if by_port and (typing.get_origin(returned) or returned) in (dict, Mapping):
        return Result({}, _by_port)
    if typing.get_origin(returned) is Annotated:
        return _single(returned)
    try:
        fields = fields_of(returned) if isinstance(returned, type) else None
    except ValueError as error:
        raise ValueError(f"its return annotation {error}") from error
    if fields is None:
        raise ValueError(
            'its return annotation names no port: write Annotated[type, Port("name")], '
            "a NamedTuple, a dataclass or a TypedDict"
        )
    return _several(returned, fields)


def _nothing(returned: Any) -> Mapping[str, Any]:
    if returned is not None:
        raise NodeError(f"returned a {type(returned).__name__}, where nothing was promised")
    return {}


def _single(returned: Any) -> Result:
    shape = _shape("its return type", returned)
    port = shape.port.id
    if port is None:
        raise ValueError('its return annotation has no name: write Port("name")')
    return Result({port: _output("its return type", shape)}, lambda value: {port: value})


def _several(cls: type, fields: Mapping[str, Any]) -> Result:
    ports: dict[str, PortConfig] = {}
    ids: dict[str, str] = {}
    defaults = defaults_of(cls)
    for name, annotation in fields.items():
        shape = _shape(f"its output '{name}'", annotation)
        ids[name] = shape.port.id or name
        default = defaults.get(name, inspect.Parameter.empty)
        add_port(ports, ids[name], _output(f"its output '{name}'", shape, default))
    if typing.is_typeddict(cls):
        required = required_of(cls)
        return Result(ports, lambda value: _by_key(cls, ids, required, value))
    return Result(ports, lambda value: _by_field(cls, ids, value))


def _output(what: str, shape: Shape, default: Any = inspect.Parameter.empty) -> PortConfig:
    config = _with_default(what, shape, default)
    if shape.port.direction is not None and config.direction is not Direction.OUTPUT:
        raise ValueError(f"{what} is an {config.direction}; only a parameter can be that")
    return dataclasses.replace(config, direction=Direction.OUTPUT)


def _by_port(returned: Any) -> Mapping[str, Any]:
    if not isinstance(returned, Mapping):
        raise NodeError(f"returned a {type(returned).__name__}, where a dict was promised")
    return returned


def _by_field(cls: type, ids: Mapping[str, str], returned: Any) -> Mapping[str, Any]:
    if not isinstance(returned, cls):
        raise NodeError(f"returned a {type(returned).__name__}, where {cls.__name__} was promised")
    return {port: getattr(returned, name) for name, port in ids.items()}


def _by_key(
    cls: type, ids: Mapping[str, str], required: Collection[str], returned: Any
) -> Mapping[str, Any]:
    if not isinstance(returned, Mapping):
        raise NodeError(f"returned a {type(returned).__name__}, where {cls.__name__} was promised")
    for key in returned:
        if key not in ids:
            raise NodeError(f"returned '{key}', which is none of its outputs")
    for key in required:
        if key not in returned:
            raise NodeError(f"returned no '{key}', which {cls.__name__} promises")
    return {ids[key]: value for key, value in returned.items()}
