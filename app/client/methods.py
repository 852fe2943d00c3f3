"""How a method that is written once becomes one that blocks and one that is awaited.

A group's methods make procedures, lists and courses; the decorators here hand these to the
group's transport, and tell the type checker what its caller gets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from app.client.calls import Call, Listing
from app.client.events import AsyncEventStream, Course, EventStream
from app.client.procedures import Procedure, carried_out
from app.client.transport import AsyncTransport, Transport

P = ParamSpec("P")
T = TypeVar("T")
Way = TypeVar("Way", bound=Transport | AsyncTransport)


class Group(Generic[Way]):
    """Methods about one kind of thing, on the way that its client goes."""

    def __init__(self, transport: Way) -> None:
        self.transport = transport

    def ask(self, call: Call[T]) -> Procedure[T]:
        """Make a call, as often as the client tries."""
        return carried_out(call, self.transport.patience)

    def key(self, chosen: str | None) -> str:
        """The caller's idempotency key, or a new one."""
        return chosen or self.transport.new_key()


class method(Generic[P, T]):  # noqa: N801 — used as a decorator
    """Gives the outcome of a procedure."""

    def __init__(self, plan: Callable[Concatenate[Any, P], Procedure[T]]) -> None:
        self._plan = plan
        self.__doc__ = plan.__doc__

    @overload
    def __get__(self, group: None, _owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group[Transport], _owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, group: Group[AsyncTransport], _owner: type
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, group: Any, _owner: type) -> Any:
        return self if group is None else _bound(self._plan, group, group.transport.run)


class listing(Generic[P, T]):  # noqa: N801 — used as a decorator
    """Gives the items of a list, page after page."""

    def __init__(self, plan: Callable[Concatenate[Any, P], Listing[T]]) -> None:
        self._plan = plan
        self.__doc__ = plan.__doc__

    @overload
    def __get__(self, group: None, _owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group[Transport], _owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(
        self, group: Group[AsyncTransport], _owner: type
    ) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, group: Any, _owner: type) -> Any:
        return self if group is None else _bound(self._plan, group, group.transport.items)


class stream(Generic[P]):  # noqa: N801 — used as a decorator
    """Gives events as they happen."""

    def __init__(self, plan: Callable[Concatenate[Any, P], Course]) -> None:
        self._plan = plan
        self.__doc__ = plan.__doc__

    @overload
    def __get__(self, group: None, _owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group[Transport], _owner: type) -> Callable[P, EventStream]: ...
    @overload
    def __get__(
        self, group: Group[AsyncTransport], _owner: type
    ) -> Callable[P, AsyncEventStream]: ...
    def __get__(self, group: Any, _owner: type) -> Any:
        return self if group is None else _bound(self._plan, group, group.transport.follow)


def _bound(plan: Callable[..., Any], group: Any, carry_out: Callable[[Any], Any]) -> Any:
    planned = MethodType(plan, group)

    @wraps(planned)
    def carried_out(*args: Any, **kwargs: Any) -> Any:
        return carry_out(planned(*args, **kwargs))

    return carried_out
