"""The books of a run: its engine and its writer, kept in step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.engine import Engine, Failure, NodeFailure, NodeStatus, Verdict
from app.engine.state import NO_OUTPUTS, Outputs
from app.errors import NodeError, NonRetryableError
from app.events.types import Event
from app.events.wire import timestamp, to_json
from app.executions.commands import Halt
from app.executions.writer import GATHER_PURE_S, Outcome, Writer
from app.store.records import CheckpointRow, Ending, Pausing, Progress, ResolutionRow
from app.values.ports import Value

#: The longest time (ms) that a checkpoint can tell: a node may wait for longer.
MOST_MS = 2**31 - 1


class Ledger:
    """Settles nodes: in the engine, which decides, and in the writer, which commits.

    `next_seq` is the number of the next checkpoint. `is_urgent` says that what is gathered
    has to be committed before anything else is done.
    """

    def __init__(self, engine: Engine, writer: Writer, next_seq: int, max_value_bytes: int) -> None:
        self.engine = engine
        self.writer = writer
        self.is_urgent = False
        self._seq = next_seq
        self._max_value_bytes = max_value_bytes
        self._granted_at: dict[int, datetime] = {}

    def id_of(self, node: int) -> str:
        """The id of a node."""
        return self.engine.plan.nodes[node].id

    def complete(self, node: int, outputs: Mapping[str, Value], execution_ms: int) -> None:
        """A node handed in outputs that fit (see `oversize`)."""
        self.engine.complete(node, outputs, execution_ms)
        self._checkpoint(node, NodeStatus.COMPLETED, execution_ms, outputs=self._own(node))

    def resolve(self, node: int, port: str, value: Value) -> None:
        """A node gave an output before its end."""
        if self.engine.resolve(node, port, value):
            text = to_json({port: value}).decode()
            self.writer.add_resolution(ResolutionRow(self.id_of(node), self._seq, text))
            self._seq += 1

    def fail(
        self, node: int, failure: NodeFailure, execution_ms: int, streamed: Outputs = NO_OUTPUTS
    ) -> None:
        """A node failed for good, having sent what is `streamed` by port."""
        self.engine.fail(node, failure, execution_ms, streamed)
        outputs = self._own(node) if self.engine.own_outputs(node) else None
        self._checkpoint(node, NodeStatus.ERROR, execution_ms, failure=failure, outputs=outputs)

    def defer(
        self,
        node: int,
        failure: NodeFailure,
        execution_ms: int,
        retry_at: datetime,
        *,
        replaces: bool = False,
    ) -> None:
        """A node failed and is tried again at `retry_at`; `replaces`: it had waited."""
        self.engine.defer(node, failure, execution_ms, timestamp(retry_at))
        self._checkpoint(
            node,
            NodeStatus.WAITING,
            execution_ms,
            failure=failure,
            retry_at=retry_at,
            replaces=replaces,
        )
        # Another attempt may have effects of its own: count this one first.
        self.is_urgent = True

    def suspend(
        self, node: int, plan: Mapping[str, Value], execution_ms: int, until: datetime | None
    ) -> None:
        """A node waits as `plan` says, and completes without running again: `until` then."""
        self.engine.suspend(node)
        planned = to_json(plan).decode()
        self._checkpoint(node, NodeStatus.WAITING, execution_ms, outputs=planned, retry_at=until)
        # The wait is durable before anything is told of it, or comes of it.
        self.is_urgent = True

    def end_wait(self, node: int, outputs: Mapping[str, Value], waited_ms: int) -> None:
        """A node has waited for so long, and gives these outputs."""
        self.engine.complete(node, outputs, waited_ms)
        self._checkpoint(
            node, NodeStatus.COMPLETED, waited_ms, outputs=self._own(node), replaces=True
        )

    def fail_wait(self, node: int, failure: NodeFailure, waited_ms: int) -> None:
        """What a node has waited for makes it fail, for good."""
        self.engine.fail(node, failure, waited_ms)
        self._checkpoint(node, NodeStatus.ERROR, waited_ms, failure=failure, replaces=True)

    def oversize(self, outputs: Mapping[str, Value]) -> NodeError | None:
        """The error that an output makes that is larger than one may be."""
        limit = self._max_value_bytes
        if len(to_json(outputs)) <= limit:
            return None
        sizes = {port: len(to_json(value)) for port, value in outputs.items()}
        large = next((port for port, size in sizes.items() if size > limit), None)
        if large is None:
            return None
        return NonRetryableError(
            f"output '{large}' has {sizes[large]} bytes of JSON; {limit} are allowed"
        )

    def note(self, events: list[Event]) -> None:
        """A running node says something: it goes out live."""
        self.writer.gather_live(events)

    def gather(self) -> None:
        """Take what the engine told."""
        self.writer.gather(self.engine.take_events(), GATHER_PURE_S)

    def is_due(self, now: float) -> bool:
        """Whether what is gathered must be committed."""
        due_at = self.writer.due_at
        return self.is_urgent or (due_at is not None and due_at <= now)

    def commit(
        self,
        mark: int | None = None,
        ending: Ending | None = None,
        pausing: Pausing | None = None,
    ) -> Outcome:
        """Commit what is gathered, with the grants; events from `mark` on are tentative."""
        engine, tally = self.engine, self.engine.tally
        progress = Progress(tally.completed, tally.failed, tally.skipped)
        grants = to_json(dict(engine.granted)).decode()
        outcome = self.writer.commit(grants, progress, ending, pausing=pausing, mark=mark)
        if outcome is Outcome.HELD:
            self.is_urgent = False
            if self.writer.written_at is not None:
                for node in engine.running:
                    self._granted_at.setdefault(node, self.writer.written_at)
        return outcome

    def conclude(
        self, verdict: Verdict, execution_ms: int, descendants: str | None = None
    ) -> Outcome:
        """Commit the end of the run, which took `execution_ms`.

        `descendants` is why those are stopped that descend from it and are not final, None where
        there are none.
        """
        self.gather()
        mark = self.writer.mark
        self.engine.conclude(verdict, execution_ms)
        self.gather()
        if isinstance(verdict, Failure):
            error = verdict.error
            ending = Ending("failed", error.message, verdict.node_id, descendants)
            return self.commit(mark, ending)
        return self.commit(mark, Ending("completed"))

    def pause(self, halt: Halt) -> Outcome:
        """Commit that the run pauses."""
        mark = self.writer.mark
        self.writer.gather(halt.events, 0)
        return self.commit(mark, pausing=halt.pausing)

    def _own(self, node: int) -> str:
        return to_json(self.engine.own_outputs(node)).decode()

    def _checkpoint(
        self,
        node: int,
        status: NodeStatus,
        execution_ms: int,
        *,
        outputs: str | None = None,
        failure: NodeFailure | None = None,
        retry_at: datetime | None = None,
        replaces: bool = False,
    ) -> None:
        plan = self.engine.plan
        chosen = [plan.edges[edge].id for edge in self.engine.chosen_edges(node)]
        self.writer.add(
            CheckpointRow(
                node_id=plan.nodes[node].id,
                seq=self._seq,
                status=str(status),
                attempt=self.engine.attempts[node],
                execution_ms=min(execution_ms, MOST_MS),
                outputs=outputs,
                chosen=to_json(chosen).decode(),
                error=to_json(failure.as_json()).decode() if failure else None,
                started_at=self._granted_at.pop(node, None),
                retry_at=retry_at,
                replaces=replaces,
            )
        )
        self._seq += 1
        if plan.nodes[node].spec.effects:
            self.is_urgent = True
