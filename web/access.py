"""Who may call, and from which pages: what the guards of every route go by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from flask import Request, request
from werkzeug.exceptions import MethodNotAllowed

from app.caller import LOCAL, Caller
from app.errors import StoreUnavailable, TooManyRequests, Unauthorized
from app.executions.verification import Verifier
from app.streams.rates import Rates
from web.callers import caller

#: Where an app keeps its Access.
ACCESS = "chaingraph.access"

#: What anybody may ask: whether the process lives, and what the API is. Metrics have a token of
#: their own.
OPEN_BLUEPRINTS = frozenset({"health", "documentation", "metrics"})

#: How a browser sends the token with its handshake, which has no other place for it.
SUBPROTOCOL = "bearer."

_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call.

    Without `tokens` nobody is asked for one, and the API serves this machine alone. `origins`
    are those of pages elsewhere that may use it; `rates` bound how often each caller calls.
    """

    tokens: Verifier | None = None
    origins: Collection[str] = field(default_factory=frozenset)
    rates: Rates | None = None

    @property
    def is_closed(self) -> bool:
        """Whether callers are asked for a token."""
        return self.tokens is not None

    def caller(self) -> Caller:
        """Who makes this request. Raises Unauthorized, TooManyRequests, StoreUnavailable."""
        known = LOCAL if self.tokens is None else self._verified(self.tokens)
        self._count(known)
        if known is None:
            raise Unauthorized
        return known

    def _verified(self, tokens: Verifier) -> Caller | None:
        token = token_of(request)
        if self.rates is not None and tokens.is_new(token):
            # Who guesses would have the database asked with each call, and be counted too late.
            _refuse(self.rates.would_refuse_for(_address()))
        return tokens.caller_of(token)

    def _count(self, known: Caller | None) -> None:
        """Count the call as its token's, or as its address's where it has none."""
        if self.rates is not None:
            token_id = known.token_id if known else None
            _refuse(self.rates.refuse_for(token_id or _address()))

    def ticket(self) -> Ticket:
        """What this request, a handshake, comes in with, once its caller is known."""
        return Ticket(self.tokens, token_of(request), caller())

    def is_open(self) -> bool:
        """Whether this request is one that anybody may make."""
        # A browser asks before it sends the real thing, and has no token for that. Which methods
        # there are is no secret: the description of the API, which anybody may read, names them.
        return (
            request.blueprint in OPEN_BLUEPRINTS
            or request.method == "OPTIONS"
            or isinstance(request.routing_exception, MethodNotAllowed)
        )


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a socket came in with."""

    tokens: Verifier | None
    token: str = field(repr=False)
    caller: Caller

    def holds(self) -> bool:
        """Whether the token is still good, as far as can be told."""
        if self.tokens is None:
            return True
        try:
            return self.tokens.caller_of(self.token) == self.caller
        except StoreUnavailable:
            return True


def _address() -> str:
    return f"address {request.remote_addr}"


def _refuse(wait_s: int | None) -> None:
    if wait_s is not None:
        raise TooManyRequests("You call more often than RATE_LIMIT allows.", wait_s)


def token_of(asked: Request) -> str:
    """The token that a request carries; empty where it carries none."""
    given = asked.headers.get("Authorization")
    if given is not None:
        return given[len(_SCHEME) :].strip() if given.lower().startswith(_SCHEME) else ""
    if asked.headers.get("Upgrade", "").lower() != "websocket":
        return ""
    offered = asked.headers.get("Sec-WebSocket-Protocol", "").split(",")
    tokens = (name.strip() for name in offered if name.strip().startswith(SUBPROTOCOL))
    return next(tokens, "").removeprefix(SUBPROTOCOL)
