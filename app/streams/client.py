"""Clients of Redis, each with the patience that its job allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.connection import Connection, parse_url
from redis.retry import Retry

Role = Literal["web", "worker", "relay"]


class Connect(Protocol):
    """Makes one bare connection, as `single_connection` does, to a server that is settled."""

    def __call__(self, *, name: str, timeout_s: float) -> Any:
        """Make it; nothing is opened before its first use."""
        ...


# redis-py leaves its connections untyped.
_parse_url: Callable[[str], dict[str, Any]] = parse_url

#: Fixed, because replies differ between protocols and between servers' defaults.
PROTOCOL = 2
#: How long (s) a command may take. What Redis is asked for is a hint: better late than awaited.
COMMAND_TIMEOUT_S = 0.5
CONNECT_TIMEOUT_S = 0.5
#: Connections that one client opens at most.
MAX_CONNECTIONS = 32
#: How long (s) an idle connection is trusted without a PING.
HEALTH_CHECK_S = 15
#: A blocking read ends so long (s) before its socket would time out.
BLOCKING_MARGIN_S = 5.0


def connect(url: str, *, role: Role) -> Redis:
    """Make a client for commands that answer at once. Nothing is opened before the first one.

    For any number of threads: more than its connections wait for each other.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=COMMAND_TIMEOUT_S,
        protocol=PROTOCOL,
        client_name=f"cg-{role}",
        socket_timeout=COMMAND_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        health_check_interval=HEALTH_CHECK_S,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.1), 1),
    )
    return Redis.from_pool(pool)


def connect_blocking(url: str, *, role: Role, block_s: float) -> Redis:
    """Make a client for reads that block up to `block_s`; its caller's loop is the retry."""
    return Redis.from_url(
        url,
        protocol=PROTOCOL,
        client_name=f"cg-{role}-reader",
        socket_timeout=block_s + BLOCKING_MARGIN_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def single_connection(url: str, *, name: str, timeout_s: float) -> Any:
    """Make one bare connection, opened at its first use; every step is bounded by `timeout_s`."""
    options: dict[str, Any] = _parse_url(url)
    kind = options.pop("connection_class", Connection)
    options |= {
        "protocol": PROTOCOL,
        "client_name": name,
        "driver_info": None,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": min(timeout_s, CONNECT_TIMEOUT_S),
        "retry": Retry(NoBackoff(), 0),
    }
    return kind(**options)


class Truce:
    """After a failure Redis is left alone for a while, so that its absence costs nobody time."""

    def __init__(self, rest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest_s = rest_s
        self._clock = clock
        self._until = 0.0

    @property
    def holds(self) -> bool:
        """Whether Redis is to be left alone."""
        return self._until > 0 and self._clock() < self._until

    def begin(self) -> None:
        """Redis failed just now."""
        self._until = self._clock() + self._rest_s
