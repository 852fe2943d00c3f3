"""What a run needs of a store. PostgreSQL is one; what replaces it must pass the same tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from app.caller import Caller
from app.store.flow_lookup import FlowHead
from app.store.records import (
    Boundary,
    ChildRow,
    Claimed,
    ClaimedStep,
    Effect,
    EndedChild,
    EndedNode,
    Fence,
    Parked,
    Recalled,
    Request,
    SentStep,
    SignalTaken,
    StoredCheckpoint,
    Void,
    Woken,
    Written,
)


class RunStore(Protocol):
    """The statements of a process that runs executions. Every method may raise StoreUnavailable.

    After that the outcome is open; `settle_unknown` tells it.
    """

    def claim(
        self, worker_id: str, token: str, lease_ms: int, execution_id: str | None = None
    ) -> Claimed | None:
        """Own the named execution, or the next of the backlog; None if there is none to own."""
        ...

    def find_claim(self, worker_id: str, token: str) -> Claimed | None:
        """The execution that the claim with this token took, if it did."""
        ...

    def write(self, fence: Fence, writes: int, boundary: Boundary) -> Written | Void | Recalled:
        """Write a node boundary, if the fence holds and `writes` is the count so far.

        Recalled where what is requested of the owner is not what `boundary.known` says.
        """
        ...

    def settle_unknown(
        self, fence: Fence, writes: int, boundary: Boundary
    ) -> Written | Void | Recalled:
        """Find out whether a write whose reply was lost was done, and do it if not."""
        ...

    def requested(self, fence: Fence) -> Request | Void | None:
        """What is requested of the owner of the fence; Void where it doesn't hold any more."""
        ...

    def park(
        self, fence: Fence, writes: int, wake: int, waiting: str, wake_at: datetime | None
    ) -> Parked | Woken | Void:
        """Give the execution up until something arrives or `wake_at`, unless `wake` moved on."""
        ...

    def release(self, fence: Fence) -> None:
        """Give the execution up at once, for another to go on with."""
        ...

    def give_way(self, fence: Fence) -> None:
        """Give the execution up at once, and have it wait behind the others of its priority."""
        ...

    def others_wait(self, execution_id: str, for_ms: int) -> bool:
        """Whether others, no less urgent than this one, wait for so long to be run."""
        ...

    def abandon(self, fence: Fence, worker_id: str, most_crashes: int) -> None:
        """Give the execution up after a crash of its run: counted, and failed if too many."""
        ...

    def holds(self, fence: Fence) -> bool:
        """Whether the fence, of an execution or of a sent step, still holds."""
        ...

    def checkpoints(self, execution_id: str) -> list[StoredCheckpoint]:
        """The checkpoints and resolutions in the order of writing."""
        ...

    def document(self, flow_id: str, version: int) -> str:
        """The document of a flow version, as JSON text."""
        ...

    def now(self) -> datetime:
        """The store's time, which all leases and timers are made of."""
        ...

    def post_steps(
        self, fence: Fence, attempts: Mapping[str, int], queues: Mapping[str, str] = ...
    ) -> bool:
        """Note steps that are about to be sent; False if the fence is void.

        `attempts` and `queues` are by node id; a node without a queue has the default one.
        """
        ...

    def sent_steps(self, execution_id: str) -> list[SentStep]:
        """The steps of an execution that were sent and are no checkpoints yet."""
        ...

    def drop_steps(self, fence: Fence, node_ids: Sequence[str]) -> None:
        """Forget steps whose results are checkpoints now."""
        ...

    def claim_step(
        self, execution_id: str, node_id: str, worker_id: str, lease_ms: int
    ) -> ClaimedStep | None:
        """Own a sent step; None where another does, or nothing was sent, or all is over."""
        ...

    def hand_in(self, fence: Fence, result: str) -> bool:
        """Hand in a step's result; False if the step is another's by now."""
        ...

    def wake(self, execution_id: str) -> str | None:
        """Say that something arrived for an execution; gives its owner, if it has one."""
        ...

    def children(self, execution_id: str) -> list[ChildRow]:
        """The children that it waits for, or whose ends it has yet to note, in that order."""
        ...

    def flow_head(self, flow_id: str) -> FlowHead | None:
        """Whose a flow is, and its newest version; None where there is none."""
        ...

    def bring_version(self, flow_id: str, version: int) -> None:
        """Have a version beside the executions that something new is to run.

        Raises Conflict where another version with this number is there.
        """
        ...

    def children_made(self, execution_id: str, node_id: str) -> int:
        """How many children a node has made for its items."""
        ...

    def ended_children(
        self, execution_id: str, node_id: str, first: int, limit: int
    ) -> Sequence[tuple[EndedChild, Sequence[EndedNode]]]:
        """So many children of a node from a place on, in order, each with its checkpoints.

        Fewer, and one at least, where they are large.
        """
        ...

    def take_signals(
        self, fence: Fence, node_ids: Sequence[str], names: Sequence[str]
    ) -> Sequence[SignalTaken] | Void:
        """How the waits of these nodes ended, as far as they have; Void if the fence is void.

        Signals of these names that are kept are given to nodes that wait for them first.
        """
        ...

    def end_signal_wait(self, fence: Fence, node_id: str, name: str) -> None:
        """End a node's wait for want of a signal, unless one was given to it."""
        ...


class CommandStore(Protocol):
    """Commands from outside. Every method may raise StoreUnavailable.

    A command is durable once its method has returned. Where an owner lives, or a sent step is
    under way, it is requested of the owner; where nobody owns, its effect is written at once.
    What takes effect is noted as the caller's, if there is one.
    """

    def pause(self, execution_id: str, reason: str, caller: Caller | None = None) -> Effect | None:
        """Pause a running execution; None where the status forbids it.

        Changes nothing where a pause or a step is requested already.
        """
        ...

    def resume(self, execution_id: str, caller: Caller | None = None) -> Effect | None:
        """Have a paused execution go on, or withdraw a pause; None where there is neither."""
        ...

    def step(self, execution_id: str, writes: int, caller: Caller | None = None) -> Effect | None:
        """Have a paused execution run one node, if `writes` is its count of writes."""
        ...

    def now(self) -> datetime:
        """The store's time."""
        ...

    def stop(
        self, execution_id: str, reason: str, caller: Caller | None = None
    ) -> Sequence[Effect]:
        """Stop an execution and all that descends from it; gives what was stopped, it first.

        Taken from its owner, in one transaction; nothing where it is final.
        """
        ...

    def wake(self, execution_id: str) -> str | None:
        """Say that something arrived for an execution; gives its owner, if it has one."""
        ...
