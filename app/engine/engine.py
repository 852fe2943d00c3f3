"""The state machine of one run: what is begun, started, given and ended, in what order.

What follows from a node that settles is in app/engine/propagation.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from app.engine.early import EarlyOutputs
from app.engine.narrator import Narrator
from app.engine.outputs import own_outputs, resolved_outputs
from app.engine.ports import PortStates
from app.engine.propagation import Propagation
from app.engine.queue import StartQueue
from app.engine.state import (
    NO_OUTPUTS,
    SETTLED,
    Checkpoint,
    Completion,
    Failure,
    NodeFailure,
    NodeStatus,
    Outputs,
    Record,
    Resolution,
    RunOptions,
    Start,
    Tally,
    Verdict,
)
from app.engine.transfers import Transfers
from app.engine.wiring import Wiring
from app.events.types import Event
from app.values.ports import ERROR, ERROR_MESSAGE, SUCCESS, Value


class Engine:
    """One run of a plan, from its inputs and checkpoints on.

    Nodes are named by their index in the plan. Every method that decides something tells
    it as events, which `take_events` hands over in order.
    """

    def __init__(
        self,
        wiring: Wiring,
        options: RunOptions,
        inputs: Mapping[int, Mapping[str, Value]] | None = None,
        event: str | None = None,
    ) -> None:
        plan = wiring.plan
        self.plan = plan
        self.status = [NodeStatus.INITIALIZED] * len(plan.nodes)
        self.participation = wiring.participation(event)
        for node in self.participation.idle:
            self.status[node] = NodeStatus.IDLE
        self.attempts = [0] * len(plan.nodes)
        self.outputs: dict[int, Outputs] = {}
        self.failures: dict[int, NodeFailure] = {}
        self.running: set[int] = set()
        self.waiting: set[int] = set()
        self.unhandled: Failure | None = None
        self.wiring = wiring
        self._options = options
        ports = PortStates(wiring)
        self._missing = ports.missing
        self.early = EarlyOutputs(wiring, self.status, self.running, ports.chosen, options)
        self._queue = StartQueue(self.status, self.early.is_held if wiring.stream_ports else None)
        self._transfers = Transfers(wiring, inputs or {}, self.outputs, ports.chosen)
        #: What a started node is given: stored values, laid over by the run's, by the edges'.
        self.inputs = self._transfers.inputs
        #: The edges that feed a node that is ready or was, in document order.
        self.chosen_edges = self._transfers.chosen_edges
        self._tell = Narrator(plan, inputs or {}, debug=options.debug)
        #: How many nodes are settled, in which ways.
        self.tally = Tally(self.participation.total)
        self._propagation = Propagation(
            wiring, self.status, self.tally, ports, self._transfers, self._queue, self._tell
        )

    # -- beginning

    def begin(self) -> None:
        """Start a run that nothing has happened in yet."""
        self._tell.flow_started()
        self._open_run()
        self._tell.initialized(self._queue.ready)
        self._propagation.skip_the_unfed()

    def adopt(self, records: Iterable[Record]) -> list[int]:
        """Begin a run that takes over what another one came to, in the order of writing.

        Left out, and given back, are the nodes that are not ready when their turn comes. What
        was told of the others is not told again; which nodes are skipped is.
        """
        self._tell.flow_started()
        self._open_run()
        early = []
        for record in records:
            node = self.plan.index_of[record.node_id]
            if self.status[node] is not NodeStatus.INITIALIZED or self._missing[node]:
                early.append(node)
            elif isinstance(record, Resolution):
                self._give(node, record.outputs)
            else:
                self._replay(record)
        ready = [n for n in self._queue.ready if self.status[n] is NodeStatus.INITIALIZED]
        self._tell.initialized(ready)
        self._propagation.skip_the_unfed()
        return early

    def restore(
        self,
        records: Iterable[Record],
        granted: Mapping[str, int],
        elsewhere: Collection[str] = (),
    ) -> None:
        """Take up a run where its checkpoints and resolutions, in the order of writing, left it.

        `granted` gives the attempt of each node that was started and is not settled; it
        starts anew, as the next attempt, unless it runs on `elsewhere`. Tells nothing: it
        was told before, and to a reader such a node runs already.
        """
        self._open_run()
        for record in records:
            if isinstance(record, Resolution):
                self._give(self.plan.index_of[record.node_id], record.outputs)
            else:
                self._replay(record)
        for node_id, attempt in granted.items():
            self._take_grant(self.plan.index_of[node_id], attempt, node_id in elsewhere)
        self._end_if_stuck()
        self._tell.take()

    def _take_grant(self, node: int, attempt: int, runs_on: bool) -> None:
        if self.status[node] in SETTLED:
            return
        self._catch_up(node)
        self.attempts[node] = max(self.attempts[node], attempt)
        # The last checkpoint may have left it waiting for this very attempt.
        self.waiting.discard(node)
        self.status[node] = NodeStatus.EXECUTING
        self.running.add(node)
        if runs_on:
            self.early.elsewhere.add(node)
        else:
            self.interrupt(node)

    def _open_run(self) -> None:
        resolving: list[int] = []
        closing: list[int] = []
        for node in self.participation.idle:
            closing += self.wiring.edges_out(node)
        for group, members in self.participation.members.items():
            self._missing[group] += members
        for plan_node in self.plan.nodes:
            node = plan_node.index
            if plan_node.is_template and self.status[node] is not NodeStatus.IDLE:
                self.status[node] = NodeStatus.COMPLETED
                self.tally.completed += 1
                ports = self.wiring.output_ports[node]
                self.outputs[node] = resolved_outputs(ports, self._transfers.stored(node), {})
                resolving += self.wiring.value_edges[node]
                closing += self.wiring.error_edges[node]
        self._propagation.open(resolving, closing)

    def _replay(self, checkpoint: Checkpoint) -> None:
        node = self.plan.index_of[checkpoint.node_id]
        self._catch_up(node)
        self.attempts[node] = checkpoint.attempt
        self.waiting.discard(node)
        if checkpoint.status is NodeStatus.COMPLETED:
            self._settle_completed(node, {SUCCESS: True, **(checkpoint.outputs or {})})
        elif checkpoint.status is NodeStatus.WAITING:
            self.status[node] = NodeStatus.WAITING
            self.waiting.add(node)
        else:
            error = checkpoint.error or NodeFailure("NodeError", "")
            self._settle_failed(node, error, checkpoint.outputs or NO_OUTPUTS)

    def _catch_up(self, node: int) -> None:
        """Skip what was skipped before a node that was ready could have been."""
        if self._missing[node]:
            self._propagation.skip_the_unfed()

    # -- advancing

    def next_start(self) -> int | None:
        """The node that `start_next` would start."""
        is_free = len(self.running) < self._options.max_concurrency
        return self._queue.first() if is_free and not self.unhandled else None

    def start_next(self) -> Start | None:
        """Start the first ready node in document order; None if none may start now.

        Interrupted ones go first: they held their places before the others were to start.
        """
        if self.next_start() is None:
            return None
        node, was_interrupted = self._queue.take_first()
        if was_interrupted:
            return self._start(node, NodeStatus.EXECUTING)
        is_first = self.attempts[node] == 0
        return self._start(node, NodeStatus.INITIALIZED if is_first else NodeStatus.WAITING)

    def withdraw(self, start: Start) -> None:
        """Take back a start that was not granted, the latest first.

        What was told of it is the caller's to forget.
        """
        node = start.node.index
        self.running.discard(node)
        self.attempts[node] -= 1
        self.status[node] = NodeStatus.INITIALIZED
        self._queue.add(node, interrupted=start.was_interrupted)

    def _start(self, node: int, told: NodeStatus) -> Start:
        self.attempts[node] += 1
        self.status[node] = NodeStatus.EXECUTING
        self.running.add(node)
        self._queue.release()
        start = Start(self.plan.nodes[node], self.attempts[node], told is NodeStatus.EXECUTING)
        edges = self.chosen_edges(node) if self._options.debug else ()
        self._tell.started(node, told, start.attempt, edges)
        return start

    def resolve(self, node: int, port: str, value: Value) -> bool:
        """Take an output of a running node before its end; False if it gave it before."""
        return node in self.running and self._give(node, {port: value})

    def _give(self, node: int, outputs: Outputs) -> bool:
        edges = self.early.give(node, outputs)
        self.outputs[node] = self.early.outputs[node]
        self._propagation.feed(edges or ())
        return edges is not None

    def complete(self, node: int, outputs: Outputs, execution_ms: int) -> None:
        """Settle a running or suspended node that handed in `outputs` (by root port id)."""
        ports = self.wiring.output_ports[node]
        resolved = resolved_outputs(ports, self._transfers.held(node, outputs), outputs)
        if node in self.early.outputs:
            resolved |= self.early.standing(node)
        self.running.discard(node)
        self.waiting.discard(node)
        self._tell.completed(node, self.status[node], own_outputs(resolved), execution_ms)
        self._settle_completed(node, resolved)
        if self.wiring.has_cycle:
            self._end_if_stuck()

    def fail(
        self, node: int, error: NodeFailure, execution_ms: int, streamed: Outputs = NO_OUTPUTS
    ) -> None:
        """Settle a running or suspended node that failed for good.

        `streamed` is what it had sent by then, by port.
        """
        self.running.discard(node)
        self.waiting.discard(node)
        self._tell.failed(node, error, self.attempts[node], execution_ms, retry_at=None)
        self._settle_failed(node, error, streamed)
        if self.wiring.has_cycle:
            self._end_if_stuck()

    def defer(self, node: int, error: NodeFailure, execution_ms: int, retry_at: str) -> None:
        """Let a running node that failed wait until `retry_at` (ISO 8601) for its next try.

        What reads its streams is interrupted: it runs anew beside that.
        """
        self.running.discard(node)
        for reader in self.early.readers(node):
            self.interrupt(reader)
        self._tell.failed(node, error, self.attempts[node], execution_ms, retry_at=retry_at)
        self.status[node] = NodeStatus.WAITING
        self.waiting.add(node)

    def suspend(self, node: int) -> None:
        """Let a running node wait that completes without running again."""
        self.running.discard(node)
        self._tell.suspended(node)
        self.status[node] = NodeStatus.WAITING
        self.waiting.add(node)

    def retry(self, node: int) -> None:
        """Make a waiting node ready again: its time has come."""
        self.waiting.discard(node)
        self.status[node] = NodeStatus.INITIALIZED
        self._queue.add(node)

    def interrupt(self, node: int) -> None:
        """Make a running node ready again whose attempt was lost: it starts anew."""
        self.running.discard(node)
        self.early.elsewhere.discard(node)
        for reader in self.early.readers(node):
            self.interrupt(reader)
        self.status[node] = NodeStatus.INITIALIZED
        self._queue.add(node, interrupted=True)

    def verdict(self) -> Verdict | None:
        """How the run ends, once nothing runs and nothing more can start; else None."""
        if self.running:
            return None
        if self.unhandled:
            return self.unhandled
        if self.waiting or self._queue.first() is not None:
            return None
        return Completion()

    def own_outputs(self, node: int) -> dict[str, Value]:
        """The outputs and passthroughs of a completed node, system ports left out."""
        return own_outputs(self.outputs[node])

    def tell(self, event: Event) -> None:
        """Tell something that happened around the run, in its place among what the run tells."""
        self._tell.add(event)

    def take_events(self) -> list[Event]:
        """Hand over what was told since the last call."""
        return self._tell.take()

    def would_end(self, node: int) -> bool:
        """Whether the run ends if a node fails."""
        return self._options.fail_on_error and not self.plan.nodes[node].handles_error

    def conclude(self, verdict: Verdict, execution_ms: int) -> None:
        """Tell the end of the flow and of the execution, which took `execution_ms`."""
        self._tell.concluded(verdict, execution_ms)

    @property
    def granted(self) -> dict[str, int]:
        """The attempts of the nodes that were started and are not settled, by node id."""
        started = (*self.running, *self._queue.interrupted)
        return {self.plan.nodes[node].id: self.attempts[node] for node in started}

    # -- settling

    def _settle_completed(self, node: int, outputs: Outputs) -> None:
        self.status[node] = NodeStatus.COMPLETED
        self.tally.completed += 1
        self.outputs[node] = outputs
        self._propagation.settle(node, self.wiring.value_edges[node], self.wiring.error_edges[node])

    def _settle_failed(self, node: int, error: NodeFailure, streamed: Outputs) -> None:
        plan_node = self.plan.nodes[node]
        self.status[node] = NodeStatus.ERROR
        self.tally.failed += 1
        self.failures[node] = error
        told = {ERROR: True, ERROR_MESSAGE: error.message}
        self.outputs[node] = self.early.left_by(node, streamed, error) | told
        if self.would_end(node) and not self.unhandled:
            self.unhandled = Failure(plan_node.id, error)
        self._propagation.settle(node, self.wiring.error_edges[node], self.wiring.value_edges[node])

    def _end_if_stuck(self) -> None:
        if not self.running and not self.waiting and not self.unhandled:
            self._propagation.skip_the_unfed()
