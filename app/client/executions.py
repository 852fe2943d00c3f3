"""Executions, as a caller sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

from app.client.errors import WaitTimeout
from app.client.events import EventStream
from app.client.paging import pages
from app.client.retrying import CALL, FOLLOW
from app.client.shapes import Accepted, Event, Execution, Json, Member, Node, Recovery, Root
from app.client.transport import Transport

#: Pauses (s) between two looks at an execution that is waited for: they grow.
FIRST_LOOK_S = 0.05
LONGEST_LOOK_S = 1.0
#: Events on one page.
MOST_EVENTS = 1000


class Executions:
    """The executions of the caller. Every method raises ClientError."""

    def __init__(self, transport: Transport, clock: Callable[[], float]) -> None:
        self._transport = transport
        self._clock = clock

    def create(
        self,
        flow_id: str,
        *,
        flow_version: int | None = None,
        inputs: Mapping[str, Mapping[str, Any]] | None = None,
        options: Json | None = None,
        integration: Any = None,
        events: Iterable[Json] | None = None,
        autostart: bool = False,
        idempotency_key: str | None = None,
    ) -> Execution:
        """Create an execution of a flow, and start it if `autostart`.

        `inputs` are `{node id: {port id or path: value}}`; of `events`, `{eventName, payload?}`
        each, the first drives it and each further one becomes a child. A create whose answer is lost is
        tried again only with an `idempotency_key`: without one there might be two.
        """
        body = {
            "flowId": flow_id,
            "flowVersion": flow_version,
            "inputs": inputs,
            "options": options,
            "integration": integration,
            "events": None if events is None else list(events),
        }
        given = {name: value for name, value in body.items() if value is not None}
        wanted = {**given, "autostart": autostart}
        return Execution.from_json(self._transport.post("/executions", wanted, key=idempotency_key))

    def create_batch(
        self, items: Iterable[Json], *, idempotency_key: str | None = None
    ) -> Sequence[Execution]:
        """Create up to 1,000 executions, all or none; `items` are bodies of `POST /executions`."""
        body = {"items": list(items)}
        answer = self._transport.post("/executions/batch", body, key=idempotency_key)
        return [Execution.from_json(item) for item in answer["items"]]

    def start(self, execution_id: str) -> Execution:
        """Start an execution that was created without `autostart`."""
        return Execution.from_json(self._transport.post(f"{_path(execution_id)}/start", {}))

    def pause(self, execution_id: str, reason: str | None = None) -> Execution:
        """Pause an execution at its next node boundary."""
        return self._command(execution_id, "pause", reason)

    def resume(self, execution_id: str, reason: str | None = None) -> Execution:
        """Have a paused execution go on, or withdraw a pause that is not effective yet."""
        return self._command(execution_id, "resume", reason)

    def step(self, execution_id: str, reason: str | None = None) -> Execution:
        """Have a paused execution run one node, then pause again."""
        return self._command(execution_id, "step", reason)

    def stop(self, execution_id: str, reason: str | None = None) -> Execution:
        """Stop an execution and all that descends from it, for good."""
        return self._command(execution_id, "stop", reason)

    def _command(self, execution_id: str, command: str, reason: str | None) -> Execution:
        body = {} if reason is None else {"reason": reason}
        return Execution.from_json(self._transport.post(f"{_path(execution_id)}/{command}", body))

    def recover(self, execution_id: str) -> Execution:
        """Take an execution from its owner; another process goes on from the last checkpoint."""
        return Execution.from_json(self._transport.post(f"{_path(execution_id)}/recover", {}))

    def signal(
        self,
        execution_id: str,
        name: str,
        payload: Any = None,
        *,
        idempotency_key: str | None = None,
    ) -> str | None:
        """Send a signal with any JSON; gives the node that it went to, None while it is kept.

        A call whose answer is lost is tried again only with an `idempotency_key`: without one
        there might be two signals.
        """
        path = f"{_path(execution_id)}/signals/{quote(name, safe='')}"
        answer = self._transport.post(path, payload, key=idempotency_key)
        delivered: str | None = answer["delivered"]
        return delivered

    def bulk(
        self,
        action: Literal["start", "pause", "resume", "stop"],
        *,
        status: Sequence[str] | None = None,
        flow_id: str | None = None,
        ids: Sequence[str] | None = None,
    ) -> Accepted:
        """Command all executions that pass a filter, which names at least one thing."""
        named = {"status": status, "flowId": flow_id, "ids": ids}
        wanted = {name: value for name, value in named.items() if value is not None}
        body = {"action": action, "filter": wanted}
        return Accepted(**self._transport.post("/executions/bulk", body))

    def get(self, execution_id: str) -> Execution:
        """Look at an execution; its outputs are there once it is completed."""
        return Execution.from_json(self._transport.get(_path(execution_id)))

    def list(
        self,
        *,
        status: str | None = None,
        flow_id: str | None = None,
        root_execution_id: str | None = None,
    ) -> Iterator[Execution]:
        """Give all executions, or those of a status, a flow or a tree, newest first."""
        wanted = {"status": status, "flowId": flow_id, "rootExecutionId": root_execution_id}
        return map(Execution.from_json, pages(self._transport, "/executions", wanted))

    def roots(self, flow_id: str, *, after: datetime | None = None) -> Iterator[Root]:
        """Give a flow's root executions, newest first; `after`: created before that time."""
        path = f"/flows/{quote(flow_id, safe='')}/executions"
        wanted = {"after": None if after is None else after.astimezone(UTC).isoformat()}
        return map(Root.from_json, pages(self._transport, path, wanted))

    def tree(self, execution_id: str) -> Iterator[Member]:
        """Give an execution and all that descend from it, by level, then id."""
        return map(Member.from_json, pages(self._transport, f"{_path(execution_id)}/tree"))

    def recoveries(self, execution_id: str) -> Iterator[Recovery]:
        """Give the times that an execution was taken from its owner, oldest first."""
        path = f"{_path(execution_id)}/recoveries"
        return map(Recovery.from_json, pages(self._transport, path))

    def nodes(self, execution_id: str) -> Iterator[Node]:
        """Give an execution's nodes in document order."""
        return map(Node.from_json, pages(self._transport, f"{_path(execution_id)}/nodes"))

    def node(self, execution_id: str, node_id: str) -> Node:
        """Look at one node, its values in full."""
        path = f"{_path(execution_id)}/nodes/{quote(node_id, safe='')}"
        return Node.from_json(self._transport.get(path))

    def wait(self, execution_id: str, timeout_s: float | None = None) -> Execution:
        """Wait until an execution is final, and give it.

        A restart of the server is waited for, too. Raises WaitTimeout.
        """
        deadline = None if timeout_s is None else self._clock() + timeout_s
        pause_s = FIRST_LOOK_S
        patience = CALL
        while True:
            raw = self._transport.get(_path(execution_id), patience=patience)
            execution = Execution.from_json(raw)
            if execution.is_final:
                return execution
            left_s = pause_s if deadline is None else deadline - self._clock()
            if left_s <= 0:
                raise WaitTimeout(f"{execution_id} is {execution.status} after {timeout_s} s")
            self._transport.pause(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, LONGEST_LOOK_S)
            # It was there: if it is away now it will come back.
            patience = FOLLOW

    def recorded_events(
        self, execution_id: str, from_index: int = -1, *, types: Iterable[str] | None = None
    ) -> Iterator[Event]:
        """Give the events that there are by now, from an index on, without waiting for more."""
        names = None if types is None else ",".join(types)
        while True:
            wanted = {"fromIndex": from_index, "limit": MOST_EVENTS, "eventTypes": names}
            page = self._transport.get(f"{_path(execution_id)}/events", wanted)
            yield from map(Event.from_json, page["events"])
            if len(page["events"]) < MOST_EVENTS:
                return
            from_index = page["nextIndex"]

    def events(
        self, execution_id: str, from_index: int = -1, *, types: Iterable[str] | None = None
    ) -> EventStream:
        """Follow an execution's events from an index on, to its end.

        `types` leaves out all others. Close the stream, or use it as a context manager, if it
        may not be read to its end.
        """
        return EventStream(
            self._transport, f"{_path(execution_id)}/events", from_index, types=types
        )


def _path(execution_id: str) -> str:
    return f"/executions/{quote(execution_id, safe='')}"
