"""From a Python annotation to the port that holds such a value, and back to the value."""

from __future__ import annotations

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, Union

from app.nodes.port import Port
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
        hints = typing.get_type_hints(cls, include_extras=True)
        return {name: _unwrap(hint) for name, hint in hints.items()}
    return None


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
