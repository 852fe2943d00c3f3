"""What a run waits for: time limits of its nodes, retries, sleeps, signals, and children."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from heapq import heappop, heappush
from typing import NamedTuple

from app.values.ports import Value

_NEVER = float("inf")


class Sleep(NamedTuple):
    """A sleep of so many milliseconds, and the output that says how long it was."""

    ms: int
    port: str

    def as_json(self) -> dict[str, Value]:
        """What the checkpoint of a node that sleeps says in place of outputs."""
        return {self.port: self.ms}


#: Marks a checkpoint whose node waits for a signal, and where the node stands in the document.
#: The statements of signals read both (app.store.signal_statements).
_SIGNAL, _PLACE = "$signal", "$place"
#: Marks a checkpoint whose node waits for children.
_EACH, _CALL = "$each", "$call"


class SignalWait(NamedTuple):
    """A wait of the node that stands at `place` in the document, for the signal `name`."""

    name: str
    place: int

    def as_json(self) -> dict[str, Value]:
        """What the checkpoint of a node that waits for a signal says in place of outputs."""
        return {_SIGNAL: self.name, _PLACE: self.place}


class FanOutWait(NamedTuple):
    """A wait for a flow's version to have run once for each of a node's items.

    `target` is the node and the port of that flow that take the item, None for none; so many are
    unfinished at once; `since` is when it began (ISO 8601).
    """

    flow_id: str
    version: int
    target: tuple[str, str] | None
    concurrency: int
    since: str

    def as_json(self) -> dict[str, Value]:
        """What the checkpoint of the node says in place of outputs."""
        target = None if self.target is None else list(self.target)
        return {_EACH: [self.flow_id, self.version, target, self.concurrency, self.since]}


class CallWait(NamedTuple):
    """A wait for a flow's version to have run, in the node's child of that ordinal.

    `since` is when it began (ISO 8601).
    """

    flow_id: str
    version: int
    ordinal: int
    since: str

    def as_json(self) -> dict[str, Value]:
        """What the checkpoint of the node says in place of outputs."""
        return {_CALL: [self.flow_id, self.version, self.ordinal, self.since]}


#: What a waiting node waits for, other than its next attempt.
Plan = Sleep | SignalWait | FanOutWait | CallWait


def read_plan(stored: Mapping[str, Value] | None) -> Plan | None:
    """What a waiting node's checkpoint says that it waits for; None for its next attempt."""
    match stored:
        case None:
            return None
        case {"$signal": str(name), "$place": int(place)}:
            return SignalWait(name, place)
        case {"$each": [str(flow_id), int(version), target, int(concurrency), str(since)]}:
            place_of = None if target is None else (str(target[0]), str(target[1]))
            return FanOutWait(flow_id, version, place_of, concurrency, since)
        case {"$call": [str(flow_id), int(version), int(ordinal), str(since)]}:
            return CallWait(flow_id, version, ordinal, since)
        case _:
            [(port, ms)] = stored.items()
            assert isinstance(ms, int)
            return Sleep(ms, port)


class Wait(NamedTuple):
    """When a waiting node goes on: on the run's clock, and in the store's time.

    It completes where it has a plan (infinity and None: no time ends it), and else is tried
    again.
    """

    due: float
    at: datetime | None
    node: int
    plan: Plan | None = None


class Timers:
    """Times on a monotonic clock, in seconds. What is over is passed over when its time comes."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int]] = []
        self._waits: dict[int, Wait] = {}

    def limit(self, node: int, attempt: int, due: float) -> None:
        """An attempt of a node may take until `due`."""
        heappush(self._heap, (due, node, attempt))

    def wait(self, wait: Wait, attempt: int) -> None:
        """After its `attempt` a node waits."""
        self._waits[wait.node] = wait
        heappush(self._heap, (wait.due, wait.node, attempt))

    def next_due(self) -> float:
        """When the next time comes, infinity for never."""
        return self._heap[0][0] if self._heap else _NEVER

    def soonest_wait(self) -> Wait | None:
        """The wait that ends first, of those that don't wait for children."""
        waits = (
            each
            for each in self._waits.values()
            if not isinstance(each.plan, FanOutWait | CallWait)
        )
        return min(waits, default=None)

    def fan_out_waits(self) -> dict[int, FanOutWait]:
        """The waits for children of nodes that were restored, by node."""
        return {
            node: wait.plan
            for node, wait in self._waits.items()
            if isinstance(wait.plan, FanOutWait)
        }

    def call_waits(self) -> dict[int, CallWait]:
        """The waits for another flow's run of nodes that were restored, by node."""
        return {
            node: wait.plan for node, wait in self._waits.items() if isinstance(wait.plan, CallWait)
        }

    def signal_waits(self) -> dict[int, SignalWait]:
        """The waits for signals, by node."""
        return {
            node: wait.plan
            for node, wait in self._waits.items()
            if isinstance(wait.plan, SignalWait)
        }

    def find_wait(self, node: int) -> Wait | None:
        """What a node waits for, if it does."""
        return self._waits.get(node)

    def take_wait(self, node: int) -> Wait | None:
        """What a node waits for, if it does; it waits no longer."""
        return self._waits.pop(node, None)

    def fire(self, now: float) -> Iterator[tuple[int, int]]:
        """The (node, attempt) of every time that has come."""
        while self._heap and self._heap[0][0] <= now:
            _, node, attempt = heappop(self._heap)
            yield node, attempt
