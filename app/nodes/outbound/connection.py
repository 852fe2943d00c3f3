"""Connections to the very address that the policy has judged.

A name is resolved once, here, and the connection goes to what came out: a second look-up could
be answered differently by whoever owns the name. The name itself stays what TLS and the Host
header say.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable
from functools import cache

import httpcore
import httpx

from app.errors import NonRetryableError
from app.nodes.outbound.policy import Address, AddressPolicy, parse_address

#: Gives the addresses of a host name; raises OSError where there are none.
Resolve = Callable[[str], Awaitable[list[Address]]]


class AddressRefused(NonRetryableError):
    """The address is not public, and no setting allows it."""


async def look_up(host: str) -> list[Address]:
    """Ask the system for the addresses of a host.

    In a thread of its own: the event loop waits for its own threads when it ends, and a look-up
    can't be interrupted.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Address]] = loop.create_future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            _deliver(loop, answer, OSError(f"{host} can't be resolved: {error}"))
        else:
            addresses = [parse_address(str(entry[4][0])) for entry in found]
            _deliver(loop, answer, list(dict.fromkeys(filter(None, addresses))))

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    return await answer


def _deliver(
    loop: asyncio.AbstractEventLoop,
    answer: asyncio.Future[list[Address]],
    result: list[Address] | OSError,
) -> None:
    def settle() -> None:
        if answer.done():
            return
        if isinstance(result, OSError):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The loop has ended: nobody waits for the answer any more.
        return


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens sockets for httpcore, to allowed addresses only."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve = look_up) -> None:
        self._policy = policy
        self._resolve = resolve
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first allowed address of `host` that answers."""
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in await self._allowed(host, port):
            try:
                return await self._sockets.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore does between its own retries."""
        await asyncio.sleep(seconds)

    async def _allowed(self, host: str, port: int) -> list[Address]:
        literal = parse_address(host.removeprefix("[").removesuffix("]"))
        try:
            addresses = [literal] if literal is not None else await self._resolve(host)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        allowed = [each for each in addresses if self._policy.allows(host, each, port)]
        if addresses and not allowed:
            raise AddressRefused(
                f"{host}:{port} is {addresses[0]}, which is not a public address; "
                "HTTP_NODE_ALLOW can allow it"
            )
        return allowed


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx over guarded connections, without the proxies of the environment."""

    def __init__(self, backend: GuardedBackend) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(ssl_context=_tls(), network_backend=backend)


@cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes longer than many a request; they are the same for all.
    return httpx.create_ssl_context(trust_env=False)
