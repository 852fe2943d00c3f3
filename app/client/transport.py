"""The two ways to the API: one that blocks, and one that is awaited. Nothing else differs."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

import httpx

from app.client.address import Address
from app.client.calls import Listing
from app.client.events import AsyncEventStream, Course, EventStream
from app.client.procedures import Pause, Procedure, Reply, Send, carried_out
from app.client.retrying import CALL, Patience

T = TypeVar("T")


def new_key() -> str:
    """An idempotency key that nobody else has."""
    return uuid.uuid4().hex


class Transport:
    """The way that blocks."""

    def __init__(
        self,
        address: Address,
        *,
        timeout_s: float,
        patience: Patience = CALL,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        new_key: Callable[[], str] = new_key,
        http: httpx.BaseTransport | None = None,
    ) -> None:
        self.address = address
        self.patience = patience
        self.pause = pause
        self.clock = clock
        self.new_key = new_key
        self._http = httpx.Client(**address.options(timeout_s), transport=http)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, procedure: Procedure[T]) -> T:
        """Carry a procedure out."""
        told: Reply | None = None
        while True:
            try:
                step = procedure.send(told)
            except StopIteration as ended:
                result: T = ended.value
                return result
            told = self._do(step)

    def items(self, listing: Listing[T]) -> Iterator[T]:
        """Give what is in a list; the next page is asked for when it is needed."""
        rest: Listing[T] | None = listing
        while rest is not None:
            page = self.run(carried_out(rest.call(), self.patience))
            yield from page.items
            rest = page.rest

    def follow(self, course: Course) -> EventStream:
        """Follow events."""
        return EventStream(course, self.address, self.pause)

    def _do(self, step: Send | Pause) -> Reply | None:
        if isinstance(step, Pause):
            self.pause(step.seconds)
            return None
        try:
            outcome = self._http.request(**self.address.request(step.call))
        except httpx.RequestError as error:
            return Reply(self.address.base_url, error)
        return Reply(self.address.base_url, outcome)


class AsyncTransport:
    """The way that is awaited, on asyncio."""

    def __init__(
        self,
        address: Address,
        *,
        timeout_s: float,
        patience: Patience = CALL,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        new_key: Callable[[], str] = new_key,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.address = address
        self.patience = patience
        self.pause = pause
        self.clock = clock
        self.new_key = new_key
        self._http = httpx.AsyncClient(**address.options(timeout_s), transport=http)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, procedure: Procedure[T]) -> T:
        """Carry a procedure out."""
        told: Reply | None = None
        while True:
            try:
                step = procedure.send(told)
            except StopIteration as ended:
                result: T = ended.value
                return result
            told = await self._do(step)

    async def items(self, listing: Listing[T]) -> AsyncIterator[T]:
        """Give what is in a list; the next page is asked for when it is needed."""
        rest: Listing[T] | None = listing
        while rest is not None:
            page = await self.run(carried_out(rest.call(), self.patience))
            for item in page.items:
                yield item
            rest = page.rest

    def follow(self, course: Course) -> AsyncEventStream:
        """Follow events."""
        return AsyncEventStream(course, self.address, self.pause)

    async def _do(self, step: Send | Pause) -> Reply | None:
        if isinstance(step, Pause):
            await self.pause(step.seconds)
            return None
        try:
            outcome = await self._http.request(**self.address.request(step.call))
        except httpx.RequestError as error:
            return Reply(self.address.base_url, error)
        return Reply(self.address.base_url, outcome)
