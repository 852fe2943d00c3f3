"""From a Python annotation to the port that holds such a value, and back to the value."""

from __future__ import annotations

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Annotated, Any, Literal, Union

from app.nodes.port import Port
from app.nodes.streams import ReadStream, Stream
from app.values.ports import PortConfig, PortType, Value

#: Makes a JSON value into what the annotation promises the node's author.
Read = Callable[[Value], Any]

_SCALARS: Mapping[Any, PortConfig] = {
    str: PortConfig(PortType.STRING),
    float: PortConfig(PortType.NUMBER),
    int: PortConfig(PortType.NUMBER, integer=True),
    bool: PortConfig(PortType.BOOLEAN),
    Any: PortConfig(PortType.ANY),
    object: PortConfig(PortType.ANY),
}
_ARRAYS = (list, collections.abc.Sequence, collections.abc.Iterable)
_OBJECTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """What an annotation says: the port, whether None is welcome, how to read a value."""

    config: PortConfig
    nullable: bool = False
    read: Read | None = None
    port: Port = dataclasses.field(default_factory=Port)


def shape_of(annotation: Any) -> Shape:
    """Read a resolved annotation.

    Raises ValueError, with a clause such as "has the type …", where no port holds it.
    """
    if typing.get_origin(annotation) is Annotated:
        return _annotated(annotation)
    if annotation in (Any, object):
        return Shape(_SCALARS[annotation], nullable=True)
    if isinstance(annotation, type) and annotation in _SCALARS:
        return Shape(_SCALARS[annotation], read=_whole if annotation is int else None)
    return _union(annotation) or _generic(annotation) or _class(annotation)


def fields_of(cls: type) -> dict[str, Any] | None:
    """The annotated fields of a NamedTuple, dataclass or TypedDict; None for another class."""
    if is_named_tuple(cls) or dataclasses.is_dataclass(cls) or typing.is_typeddict(cls):
        return {name: _unwrap(hint) for name, hint in _field_hints(cls).items()}
    return None


def _field_hints(cls: type) -> dict[str, Any]:
    hints = hints_of(cls, f"has the type {cls.__name__}, whose annotations")
    if dataclasses.is_dataclass(cls):
        # A ClassVar, or a field that is no argument, is annotated and no part of the value.
        names = [field.name for field in dataclasses.fields(cls) if field.init]
        return {name: hints[name] for name in names}
    return hints


def hints_of(
    target: type | Callable[..., Any], what: str, scope: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The annotations of a function or class, resolved; `scope` are the names around it.

    Raises ValueError, with "`what` can't be read: …", where one can't be.
    """
    local = None if scope is None else dict(scope)
    try:
        return typing.get_type_hints(target, localns=local, include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise ValueError(f"{what} can't be read: {error}") from error


def defaults_of(cls: type) -> Mapping[str, Any]:
    """The defaults of the fields of a NamedTuple or dataclass; of a TypedDict there are none."""
    if is_named_tuple(cls):
        return dict(getattr(cls, "_field_defaults", {}))
    if not dataclasses.is_dataclass(cls):
        return {}
    return {
        field.name: field.default if factory is dataclasses.MISSING else factory()
        for field in dataclasses.fields(cls)
        for factory in [field.default_factory]
        if not (factory is field.default is dataclasses.MISSING)
    }


def required_of(cls: type) -> frozenset[str]:
    """The keys that every value of a TypedDict has."""
    # The class itself doesn't see NotRequired where annotations are texts.
    hints = _field_hints(cls)
    optional = {name for name in hints if typing.get_origin(hints[name]) is typing.NotRequired}
    keys: frozenset[str] = getattr(cls, "__required_keys__", frozenset())
    return keys - optional


def is_named_tuple(cls: type) -> bool:
    """Whether the class is a NamedTuple."""
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _unwrap(hint: Any) -> Any:
    """A TypedDict's field without its NotRequired or Required."""
    if typing.get_origin(hint) in (typing.NotRequired, typing.Required):
        return typing.get_args(hint)[0]
    return hint


def _annotated(annotation: Any) -> Shape:
    inner, *extras = typing.get_args(annotation)
    ports = [extra for extra in extras if isinstance(extra, Port)]
    if len(ports) > 1:
        raise ValueError("has two Port(...)")
    shape = shape_of(inner)
    if not ports:
        return shape
    return dataclasses.replace(shape, config=ports[0].apply(shape.config), port=ports[0])


def _union(annotation: Any) -> Shape | None:
    if typing.get_origin(annotation) not in (Union, types.UnionType):
        return None
    arms = [arm for arm in typing.get_args(annotation) if arm is not type(None)]
    nullable = len(arms) < len(typing.get_args(annotation))
    if set(arms) == {int, float}:
        return Shape(_SCALARS[float], nullable)
    if len(arms) != 1:
        raise ValueError(f"has the type {annotation}, and a port holds one type (or Any)")
    return dataclasses.replace(shape_of(arms[0]), nullable=nullable)


def _generic(annotation: Any) -> Shape | None:
    origin = typing.get_origin(annotation) or annotation
    arguments = typing.get_args(annotation)
    if origin is Stream:
        return _stream(arguments[0] if arguments else Any)
    if origin is Literal:
        return Shape(PortConfig(PortType.ENUM, options=arguments), nullable=None in arguments)
    if origin in _ARRAYS:
        return _array(arguments[0] if arguments else Any)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return dataclasses.replace(_array(arguments[0]), read=tuple)
    if origin in _OBJECTS:
        if arguments and arguments[0] is not str:
            raise ValueError("has an object type whose keys are not str")
        return Shape(PortConfig(PortType.OBJECT))
    return None


def _stream(item: Any) -> Shape:
    shape = shape_of(item)
    config = PortConfig(PortType.STREAM, item=shape.config)
    read_item = shape.read
    if read_item is None:
        return Shape(config)
    return Shape(config, read=lambda stream: ReadStream(stream, partial(_read, read_item)))


def _array(item: Any) -> Shape:
    shape = shape_of(item)
    config = PortConfig(PortType.ARRAY, item=shape.config)
    read_item = shape.read
    if read_item is None:
        return Shape(config)
    return Shape(config, read=lambda items: [_read(read_item, each) for each in items])


def _class(annotation: Any) -> Shape:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        options = tuple(member.value for member in annotation)
        return Shape(PortConfig(PortType.ENUM, options=options), read=annotation)
    fields = fields_of(annotation) if isinstance(annotation, type) else None
    if fields is None:
        name = getattr(annotation, "__name__", annotation)
        raise ValueError(f"has the type {name}, which no port holds")
    shapes = {name: shape_of(hint) for name, hint in fields.items()}
    ids = {name: shape.port.id or name for name, shape in shapes.items()}
    config = PortConfig(
        PortType.OBJECT,
        properties={ids[name]: shape.config for name, shape in shapes.items()},
    )
    if typing.is_typeddict(annotation):
        return Shape(config)
    return Shape(config, read=_builder(annotation, ids, shapes))


def _builder(cls: type, ids: Mapping[str, str], shapes: Mapping[str, Shape]) -> Read:
    def build(value: Value) -> Any:
        return cls(
            **{
                name: _read(shapes[name].read, value[port])
                for name, port in ids.items()
                if port in value
            }
        )

    return build


def _read(read: Read | None, value: Value) -> Any:
    return value if read is None or value is None else read(value)


def _whole(value: Value) -> Value:
    """JSON does not tell 3 from 3.0, Python's int does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
