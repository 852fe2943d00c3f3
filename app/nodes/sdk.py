"""The decorator that makes a typed function, or a class, a node type."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from app.errors import NodeDefinitionError
from app.nodes.asynchronous import run_until_cancelled
from app.nodes.binding import Signature, read_signature
from app.nodes.docstrings import read_docstring
from app.nodes.port import Port
from app.nodes.spec import Invoke, NodeContext, NodeSpec, RetryPolicy
from app.values.ports import Value

__all__ = ["NodeContext", "Port", "RetryPolicy", "node", "spec_of"]

F = TypeVar("F", bound=Callable[..., Any])

_SPEC = "__node_spec__"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def node(
    type: str,  # noqa: A002 - the word that documents and the API use
    *,
    category: str,
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

    `effects=False` promises: same inputs, same outputs, nothing else touched. `retry`,
    `timeout_ms` and `queue` are defaults that a document may override. `in_place=True`
    promises that the node never waits and does little more than hand its values on: no thread
    is woken for it, and no time limit can end it. A class has a `run` or
    `__call__` method that is read in the same way; each run of the node makes an instance.
    The function itself is given back unchanged, so that it can be called as ever.

    Raises NodeDefinitionError, naming file, line and function, where it is written wrongly.
    """
    # Types that are local to a function, in a test or a notebook, are found around the call.
    scope = sys._getframe(1).f_locals  # noqa: SLF001

    def decorate(target: F) -> F:
        function = _function_of(target)
        text = read_docstring(target.__doc__ or function.__doc__)
        try:
            _check(type, retry, timeout_ms)
            signature = read_signature(function, text, scope)
        except ValueError as error:
            raise NodeDefinitionError(f"{_place(target, function)}: {error}") from error
        spec = NodeSpec(
            type=type,
            category=category,
            ports=signature.ports,
            invoke=_invoke(target, signature),
            title=title or _title(type),
            description=text.description,
            effects=effects,
            retry=retry or RetryPolicy(),
            timeout_ms=timeout_ms,
            queue=queue,
            deprecated=deprecated,
            in_place=in_place,
            extra_ports=extra_ports,
            tags=tags,
        )
        setattr(target, _SPEC, spec)
        return target

    return decorate


def spec_of(target: object) -> NodeSpec | None:
    """Give the node type that `target` was decorated as, None for anything else."""
    spec = vars(target).get(_SPEC) if hasattr(target, "__dict__") else None
    return spec if isinstance(spec, NodeSpec) else None


def _function_of(target: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose signature counts: a class has it as `run` or `__call__`."""
    if not inspect.isclass(target):
        return target
    method = vars(target).get("run") or vars(target).get("__call__")
    if not inspect.isfunction(method):
        raise NodeDefinitionError(
            f"{_place(target, target)}: the class has neither a method run nor __call__"
        )
    return _without_self(method)


def _without_self(method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(method)
    parameters = list(signature.parameters.values())[1:]

    def function(**_: Any) -> None:
        """Stands for the method where only its signature is read."""

    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    function.__wrapped__ = method  # type: ignore[attr-defined]
    function.__annotations__ = method.__annotations__
    function.__doc__ = method.__doc__
    return function


def _check(type_: str, retry: RetryPolicy | None, timeout_ms: int | None) -> None:
    if not type_:
        raise ValueError("its type has no name")
    if retry is not None and not 1 <= retry.max_attempts <= 100:
        raise ValueError(f"its retry allows {retry.max_attempts} attempts, not 1 to 100")
    if timeout_ms is not None and timeout_ms <= 0:
        raise ValueError(f"its timeout_ms is {timeout_ms}, and a timeout is above 0")


def _invoke(target: Callable[..., Any], signature: Signature) -> Invoke:
    is_class = inspect.isclass(target)

    def invoke(inputs: Mapping[str, Value], ctx: NodeContext) -> Mapping[str, Value]:
        function = _method_of(target()) if is_class else target
        returned = function(**signature.bind(inputs, ctx))
        if inspect.iscoroutine(returned):
            returned = run_until_cancelled(returned, ctx)
        return signature.result.spread(returned)

    return invoke


def _method_of(instance: Any) -> Callable[..., Any]:
    method: Callable[..., Any] = instance.run if hasattr(instance, "run") else instance
    return method


def _title(type_: str) -> str:
    """`HttpRequestNode` is called "Http Request"."""
    words = _WORD.findall(type_.removesuffix("Node"))
    return " ".join(words) or type_


def _place(target: Callable[..., Any], function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return f"{target.__module__}, {target.__qualname__}"
    return f"{code.co_filename}:{code.co_firstlineno}, {target.__qualname__}"
