"""The decorator that makes a typed function, or a class, a node type."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from app.errors import NodeDefinitionError
from app.nodes.asynchronous import awaited
from app.nodes.binding import Signature, read_signature
from app.nodes.classes import read_class, runner_of
from app.nodes.docstrings import read_docstring
from app.nodes.port import Port
from app.nodes.settings import BARE, TypeSettings, check_settings
from app.nodes.spec import Catalogue, Invoke, MorePorts, NodeContext, NodeSpec, RetryPolicy
from app.nodes.streams import OutputStream, Stream
from app.values.ports import PortConfig, Value

__all__ = [
    "NodeContext",
    "OutputStream",
    "Port",
    "RetryPolicy",
    "Stream",
    "decorated_types",
    "node",
    "spec_of",
]

F = TypeVar("F", bound=Callable[..., Any])

_SPEC = "__node_spec__"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

#: What this process decorated and still holds, in order: for a node's author to try by name. Two may
#: have the same: when the later one is gone, the earlier one is there again.
_decorated: WeakValueDictionary[int, Callable[..., Any]] = WeakValueDictionary()
_places = count()


def node(
    type: str | None = None,  # noqa: A002 - the word that documents and the API use
    *,
    category: str | None = None,
    title: str | None = None,
    effects: bool = True,
    retry: RetryPolicy | None = None,
    timeout_ms: int | None = None,
    queue: str | None = None,
    tags: tuple[str, ...] = (),
    deprecated: bool = False,
    in_place: bool = False,
    extra_ports: bool = False,
) -> Callable[[F], F]:
    """Make the decorated function a node type; its ports come from its signature.

    It needs a `type` and a `category`: left out, they are told of like all else that is wrong.
    `effects=False` promises: same inputs, same outputs, nothing else touched. `retry`,
    `timeout_ms` and `queue` are defaults that a document may override. `in_place=True`
    promises that the node never waits and does little more than hand its values on: no thread
    is woken for it, and no time limit can end it. An `async def` runs in an event loop of its own.
    A class has a `run` or `__call__` method that is read in the same way, and ports for what its
    constructor takes; each run of the node makes an instance (app/nodes/classes.py). The
    function itself is given back unchanged, so that it can be called as ever.

    Raises NodeDefinitionError, naming file, line and function, where it is written wrongly.
    """
    # Types that are local to a function, in a test or a notebook, are found around the call.
    scope = sys._getframe(1).f_locals  # noqa: SLF001
    if callable(type):
        raise NodeDefinitionError(f"{_place(type)}: {BARE}")
    settings = TypeSettings(type, category, retry, timeout_ms, queue, tags, in_place)

    def decorate(target: F) -> F:
        place = _place(target)
        try:
            check_settings(settings, target)
            read = _read(target, scope)
        except ValueError as error:
            raise NodeDefinitionError(f"{place}: {error}") from error
        spec = NodeSpec(
            type=settings.type,
            category=settings.category,
            ports=read.ports,
            invoke=read.invoke,
            title=title or _title(settings.type),
            description=read.description,
            effects=effects,
            retry=retry or RetryPolicy(),
            timeout_ms=timeout_ms,
            queue=queue,
            deprecated=deprecated,
            in_place=in_place,
            extra_ports=extra_ports,
            tags=tuple(tags),
            more_ports=read.more_ports,
            lenient=read.lenient,
            place=place,
        )
        setattr(target, _SPEC, spec)
        _decorated[next(_places)] = target
        return target

    return decorate


def spec_of(target: object) -> NodeSpec | None:
    """Give the node type that `target` was decorated as, None for anything else."""
    spec = vars(target).get(_SPEC) if hasattr(target, "__dict__") else None
    return spec if isinstance(spec, NodeSpec) else None


def decorated_types() -> Catalogue:
    """Give the node types that this process decorated, whoever did; of two by one name the later.

    For trying nodes. A server knows the modules that it was told of, and nothing else.
    """
    specs = [spec_of(target) for target in list(_decorated.values())]
    return MappingProxyType({spec.type: spec for spec in specs if spec is not None})


@dataclass(frozen=True, slots=True)
class _Definition:
    """What a function or class says of itself."""

    description: str
    ports: Mapping[str, PortConfig]
    invoke: Invoke
    lenient: frozenset[str]
    more_ports: MorePorts | None = None


def _read(target: Callable[..., Any], scope: Mapping[str, Any]) -> _Definition:
    if not inspect.isclass(target):
        text = read_docstring(target.__doc__)
        signature = read_signature(target, text, scope)
        invoke, lenient = _invoke(target, signature), signature.parameters.lenient
        return _Definition(text.description, signature.ports, invoke, lenient)
    text = read_docstring(vars(target).get("__doc__") or runner_of(target).__doc__)
    read = read_class(target, text, scope)
    lenient = read.configuration.lenient | read.parameters.lenient
    more_ports = read.more_ports if read.has_more_ports else None
    return _Definition(text.description, read.ports, read.invoke, lenient, more_ports)


def _invoke(target: Callable[..., Any], signature: Signature) -> Invoke:
    def invoke(inputs: Mapping[str, Value], ctx: NodeContext) -> Mapping[str, Value]:
        returned = target(**signature.parameters.bind(inputs, ctx))
        return signature.result.spread(awaited(returned, ctx))

    return invoke


def _title(type_: str) -> str:
    """`HttpRequestNode` is called "Http Request"."""
    words = _WORD.findall(type_.removesuffix("Node"))
    return " ".join(words) or type_


def _place(target: Callable[..., Any]) -> str:
    """File, line and name of what is decorated."""
    name = getattr(target, "__qualname__", repr(target))
    code = getattr(inspect.unwrap(target), "__code__", None)
    if code is not None:
        return f"{code.co_filename}:{code.co_firstlineno}, {name}"
    # Of a class, the line at which it is decorated is near enough.
    frame = sys._getframe(2)  # noqa: SLF001
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, {name}"
