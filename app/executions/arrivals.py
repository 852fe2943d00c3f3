"""What can arrive at a run: from its nodes' threads, and from whoever commands it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from app.events.types import Event
from app.nodes.emission import Emission
from app.values.ports import Value


class Ended(NamedTuple):
    """A node came back: with outputs and what it emitted, or with the exception that ended it."""

    node: int
    attempt: int
    outputs: Mapping[str, Value] | None
    error: BaseException | None
    execution_ms: int
    emitted: Sequence[Emission] = ()


class Told(NamedTuple):
    """A running node says something."""

    node: int
    attempt: int
    event: Event


@dataclass(frozen=True, slots=True)
class Streamed:
    """A running node has sent something into a stream."""

    node: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Resolved:
    """A running node gives an output before its end; a stream is given open, without items."""

    node: int
    attempt: int
    port: str
    value: Value


@dataclass(frozen=True, slots=True)
class Stale:
    """A node did not begin: its process was held up so long that another may own the run."""

    node: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Disowned:
    """The lease was not renewed: the execution belongs to another, or is final."""


@dataclass(frozen=True, slots=True)
class Commanded:
    """Something is requested of the run, or was withdrawn, or it is stopped: it is to ask."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The process ends and waits for no node any more: the run is to be handed over as it is."""


#: What can arrive in a run's inbox.
Arrival = Ended | Told | Streamed | Resolved | Stale | Disowned | Commanded | GivenUp


class Inbox(Protocol):
    """Where a run's arrivals go, from any thread."""

    def put(self, arrival: Arrival) -> None:
        """Hand in an arrival."""
        ...


class Mailbox(Inbox, Protocol):
    """A run's own side of its inbox."""

    def get(self, block: bool = True, timeout: float | None = None) -> Arrival:
        """Take the first arrival. Raises queue.Empty where none came within `timeout` seconds."""
        ...

    def qsize(self) -> int:
        """How many arrivals lie there."""
        ...
