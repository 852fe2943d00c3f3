"""Executions, as a caller sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from app.client.calls import Call, Listing, at, get, given, post
from app.client.events import Course
from app.client.methods import Group, Way, listing, method, stream
from app.client.procedures import Procedure, until_final
from app.client.shapes import Accepted, Event, Execution, Json, Member, Node, Recovery, Root

#: Events on one page.
MOST_EVENTS = 1000

Inputs = Mapping[str, Mapping[str, Any]]


class Executions(Group[Way]):
    """The executions of the caller. Every method raises ClientError.

    A create, a batch, a fork and a signal carry an idempotency key, a new one unless it is given:
    where their answer is lost they are sent again, and yet done once.
    """

    @method
    def create(
        self,
        flow_id: str,
        *,
        flow_version: int | None = None,
        inputs: Inputs | None = None,
        options: Json | None = None,
        integration: Any = None,
        events: Iterable[Json] | None = None,
        autostart: bool = False,
        idempotency_key: str | None = None,
    ) -> Procedure[Execution]:
        """Create an execution of a flow, and start it if `autostart`.

        `inputs` are `{node id: {port id or path: value}}`; of `events`, `{eventName, payload?}`
        each, the first drives it and each further one becomes a child.
        """
        body = {
            "flowId": flow_id,
            "flowVersion": flow_version,
            "inputs": inputs,
            "options": options,
            "integration": integration,
            "events": None if events is None else list(events),
            "autostart": autostart,
        }
        key = self.key(idempotency_key)
        return self.ask(post(at("executions"), Execution.from_json, given(body), key=key))

    @method
    def create_batch(
        self, items: Iterable[Json], *, idempotency_key: str | None = None
    ) -> Procedure[Sequence[Execution]]:
        """Create up to 1,000 executions, all or none; `items` are bodies of `POST /executions`."""
        body = {"items": list(items)}
        key = self.key(idempotency_key)
        return self.ask(post(at("executions", "batch"), _executions, body, key=key))

    @method
    def fork(
        self,
        execution_id: str,
        *,
        from_node_id: str | None = None,
        flow_version: int | None = None,
        inputs: Inputs | None = None,
        options: Json | None = None,
        autostart: bool = False,
        idempotency_key: str | None = None,
    ) -> Procedure[Execution]:
        """Create an execution that takes over what another has come to, in whatever status.

        Without `from_node_id` that is every completed node; with it, all that doesn't depend on
        that node. What `inputs` and `options` don't name is as it was.
        """
        body = {
            "fromNodeId": from_node_id,
            "flowVersion": flow_version,
            "inputs": inputs,
            "options": options,
            "autostart": autostart,
        }
        path, key = at("executions", execution_id, "fork"), self.key(idempotency_key)
        return self.ask(post(path, Execution.from_json, given(body), key=key))

    @method
    def start(self, execution_id: str) -> Procedure[Execution]:
        """Start an execution that was created without `autostart`."""
        return self._command(execution_id, "start")

    @method
    def pause(self, execution_id: str, reason: str | None = None) -> Procedure[Execution]:
        """Pause an execution at its next node boundary."""
        return self._command(execution_id, "pause", reason)

    @method
    def resume(self, execution_id: str, reason: str | None = None) -> Procedure[Execution]:
        """Have a paused execution go on, or withdraw a pause that is not effective yet."""
        return self._command(execution_id, "resume", reason)

    @method
    def step(self, execution_id: str, reason: str | None = None) -> Procedure[Execution]:
        """Have a paused execution run one node, then pause again."""
        return self._command(execution_id, "step", reason)

    @method
    def stop(self, execution_id: str, reason: str | None = None) -> Procedure[Execution]:
        """Stop an execution and all that descends from it, for good."""
        return self._command(execution_id, "stop", reason)

    @method
    def recover(self, execution_id: str) -> Procedure[Execution]:
        """Take an execution from its owner; another process goes on from the last checkpoint."""
        return self._command(execution_id, "recover")

    def _command(
        self, execution_id: str, command: str, reason: str | None = None
    ) -> Procedure[Execution]:
        path = at("executions", execution_id, command)
        return self.ask(post(path, Execution.from_json, given({"reason": reason})))

    @method
    def signal(
        self,
        execution_id: str,
        name: str,
        payload: Any = None,
        *,
        idempotency_key: str | None = None,
    ) -> Procedure[str | None]:
        """Send a signal with any JSON; gives the node that it went to, None while it is kept."""
        path = at("executions", execution_id, "signals", name)
        return self.ask(post(path, _delivered, payload, key=self.key(idempotency_key)))

    @method
    def bulk(
        self,
        action: Literal["start", "pause", "resume", "stop"],
        *,
        status: Sequence[str] | None = None,
        flow_id: str | None = None,
        ids: Sequence[str] | None = None,
    ) -> Procedure[Accepted]:
        """Command all executions that pass a filter, which names at least one thing."""
        wanted = given({"status": status, "flowId": flow_id, "ids": ids})
        body = {"action": action, "filter": wanted}
        return self.ask(post(at("executions", "bulk"), Accepted.from_json, body))

    @method
    def get(self, execution_id: str) -> Procedure[Execution]:
        """Look at an execution; its outputs are there once it is completed."""
        return self.ask(_look(execution_id))

    @method
    def wait(self, execution_id: str, timeout_s: float | None = None) -> Procedure[Execution]:
        """Wait until an execution is final, and give it.

        A restart of the server is waited for, too. Raises WaitTimeout.
        """
        transport = self.transport
        return until_final(_look(execution_id), timeout_s, transport.clock, transport.patience)

    @listing
    def list(
        self,
        *,
        status: str | None = None,
        flow_id: str | None = None,
        root_execution_id: str | None = None,
    ) -> Listing[Execution]:
        """Give all executions, or those of a status, a flow or a tree, newest first."""
        wanted = {"status": status, "flowId": flow_id, "rootExecutionId": root_execution_id}
        return Listing(at("executions"), Execution.from_json, wanted)

    @listing
    def roots(self, flow_id: str, *, after: datetime | None = None) -> Listing[Root]:
        """Give a flow's root executions, newest first; `after`: created before that time."""
        wanted = {"after": None if after is None else after.astimezone(UTC).isoformat()}
        return Listing(at("flows", flow_id, "executions"), Root.from_json, wanted)

    @listing
    def tree(self, execution_id: str) -> Listing[Member]:
        """Give an execution and all that descend from it, by level, then id."""
        return Listing(at("executions", execution_id, "tree"), Member.from_json)

    @listing
    def recoveries(self, execution_id: str) -> Listing[Recovery]:
        """Give the times that an execution was taken from its owner, oldest first."""
        return Listing(at("executions", execution_id, "recoveries"), Recovery.from_json)

    @listing
    def nodes(self, execution_id: str) -> Listing[Node]:
        """Give an execution's nodes in document order."""
        return Listing(at("executions", execution_id, "nodes"), Node.from_json)

    @method
    def node(self, execution_id: str, node_id: str) -> Procedure[Node]:
        """Look at one node, its values in full."""
        return self.ask(get(at("executions", execution_id, "nodes", node_id), Node.from_json))

    @listing
    def recorded_events(
        self, execution_id: str, from_index: int = -1, *, types: Iterable[str] | None = None
    ) -> Listing[Event]:
        """Give the events that there are by now, from an index on, without waiting for more."""
        names = None if types is None else ",".join(types)
        wanted = {"fromIndex": from_index, "limit": MOST_EVENTS, "eventTypes": names}
        path = at("executions", execution_id, "events")
        return Listing(path, Event.from_json, wanted, "events", _rest_of_events)

    @stream
    def events(
        self, execution_id: str, from_index: int = -1, *, types: Iterable[str] | None = None
    ) -> Course:
        """Follow an execution's events from an index on, to its end.

        `types` leaves out all others. Close the stream, or use it as a context manager, if it
        may not be read to its end.
        """
        return Course(
            execution_id,
            from_index,
            types,
            patience=self.transport.patience,
            clock=self.transport.clock,
        )


def _look(execution_id: str) -> Call[Execution]:
    return get(at("executions", execution_id), Execution.from_json)


def _executions(answer: Json) -> Sequence[Execution]:
    return [Execution.from_json(item) for item in answer["items"]]


def _delivered(answer: Json) -> str | None:
    delivered: str | None = answer["delivered"]
    return delivered


def _rest_of_events(page: Json) -> Json | None:
    """Where the next page begins; one that is not full is the last by now."""
    is_full = len(page["events"]) == MOST_EVENTS
    return {"fromIndex": page["nextIndex"]} if is_full else None
