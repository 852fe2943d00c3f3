"""Clients of both kinds, used alike: what one awaits is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from app.client import AsyncClient, Client
from app.client.address import Address
from app.client.executions import Executions
from app.client.transport import AsyncTransport, Transport

#: The kinds of clients.
WAYS = ("sync", "async")


class Waited:
    """An awaitable client, or a part of one, as if it blocked."""

    def __init__(self, part: Any, runner: asyncio.Runner) -> None:
        self._part = part
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        return self._waited(getattr(self._part, name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._waited(self._part(*args, **kwargs))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        async def following() -> Any:
            return await anext(self._part)

        try:
            return self._runner.run(following())
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        self._runner.run(self._part.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._part.__aexit__(*error))

    def _waited(self, given: Any) -> Any:
        if asyncio.iscoroutine(given):
            return self._runner.run(given)
        is_part = callable(given) or isinstance(given, AsyncIterator) or hasattr(given, "transport")
        return Waited(given, self._runner) if is_part else given


@contextmanager
def client_of(way: str, url: str, token: str | None = None) -> Iterator[Any]:
    """A client of one kind, used as if it blocked."""
    if way == "sync":
        with Client(url, token) as client:
            yield client
        return
    with asyncio.Runner() as runner, Waited(AsyncClient(url, token), runner) as waited:
        yield waited


@contextmanager
def executions_of(way: str, address: Address, pause: Callable[[float], None]) -> Iterator[Any]:
    """The executions of a client of one kind, whose pauses are as they are told."""
    if way == "sync":
        transport = Transport(address, timeout_s=5, pause=pause)
        yield Executions(transport)
        transport.close()
        return

    async def pause_there(seconds: float) -> None:
        pause(seconds)

    with asyncio.Runner() as runner:
        awaited = AsyncTransport(address, timeout_s=5, pause=pause_there)
        yield Waited(Executions(awaited), runner)
        runner.run(awaited.close())
