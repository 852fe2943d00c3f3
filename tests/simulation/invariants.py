"""The promises of the durability protocol, checked after every statement of a schedule.

Numbers are those of the list in docs/how-it-works.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.executions.steps import begins_until
from app.nodes.sdk import NodeContext
from app.store.records import Fence
from tests.simulation.books import Books, State, Violation
from tests.simulation.scheduler import Host, Scheduler

TERMINAL = {
    "execution:completed": "completed",
    "execution:failed": "failed",
    "execution:stopped": "stopped",
}
#: By whom a row may be written that another owns: these take it, or say that something came.
LEGAL = {
    ("created", "running"),
    ("created", "failed"),
    ("created", "stopped"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "stopped"),
    ("running", "paused"),
    ("paused", "running"),
    ("paused", "failed"),
    ("paused", "stopped"),
}
#: How long (s) a process may not know that it gave an execution up: its reply was lost, and it
#: asks again.
UNKNOWING_S = 4.0
#: Slack (s) of what is compared with the moment of a statement.
SLACK_S = 0.01


@dataclass
class Known:
    """What was seen of an execution so far."""

    state: State | None = None
    events: list[tuple[str, Any]] = field(default_factory=list)
    #: Node and the attempt that was told to start last.
    started: dict[str, int] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    #: When each epoch began.
    epochs: dict[int, float] = field(default_factory=dict)
    #: The sent steps that are somebody's (node, attempt, epoch), and when others were lost.
    active: set[tuple[str, int, int]] = field(default_factory=set)
    lost: dict[tuple[str, int, int], float] = field(default_factory=dict)
    #: Whether it is paused, and the nodes that were started since it was last resumed.
    is_paused: bool = False
    resumed: set[str] = field(default_factory=set)
    #: The children that it told of, and how each one ended.
    children: dict[str, str | None] = field(default_factory=dict)
    #: When each node began (s), and what those gave that waited for a signal.
    began: dict[str, float] = field(default_factory=dict)
    waited: dict[str, Any] = field(default_factory=dict)
    #: What each attempt did (node, attempt): began, failed, had an effect.
    did: set[tuple[str, int, str]] = field(default_factory=set)


class Invariants:
    """Watches one world's store, its publishing and its nodes."""

    def __init__(self, scheduler: Scheduler, books: Books, lease_s: float) -> None:
        self._scheduler = scheduler
        self._books = books
        #: How long (s) after its run was lost a node may begin: it was on its way.
        self._latest_s = begins_until(0.0, lease_s)
        self.known: dict[str, Known] = {}
        #: (execution, node) and the keys under which it had an effect.
        self.effects: dict[tuple[str, str], Counter[str]] = {}
        #: Since when a process holds what waits.
        self._holding: dict[tuple[str, str], float] = {}

    # -- after a statement

    def done(self, host: Host, name: str, fence: Fence | None) -> None:
        """A statement that this process sent has taken effect."""
        if "step" in name:
            self._look_at_steps(name, fence)
        changed: list[str] = []
        for execution_id, state in self._books.states().items():
            known = self.known.get(execution_id)
            if known is None:
                known = self.known[execution_id] = Known()
            before = known.state
            if state == before:
                continue
            known.state = state
            if before is None or before.epoch != state.epoch:
                known.epochs[state.epoch] = self._scheduler.now
            where = f"{execution_id}: {name} of {host.name}"
            if before is not None:
                _check_row(where, before, state)
                _check_writer(where, name, before, state, fence, execution_id)
            self._read_events(where, execution_id, known, state)
            _check_end(where, known, state)
            changed.append(execution_id)
        for execution_id in changed:
            self._check_family(f"{name} of {host.name}", execution_id)

    def _check_family(self, where: str, execution_id: str) -> None:
        """What has ended has no descendant that has not; what it told of them is so."""
        known = self.known[execution_id]
        assert known.state is not None
        parent = self.known.get(known.state.parent_execution_id or "")
        if not known.state.is_final:
            if parent is not None and parent.state is not None and parent.state.is_final:
                raise Violation(f"{execution_id}: {where}: 10: lives on, and its parent is over")
            return
        for child_id in self._children_of(execution_id):
            child = self.known[child_id].state
            if child is not None and not child.is_final:
                raise Violation(f"{execution_id}: {where}: 10: ends before its child {child_id}")

    def _children_of(self, execution_id: str) -> list[str]:
        return [
            id_
            for id_, known in self.known.items()
            if known.state is not None and known.state.parent_execution_id == execution_id
        ]

    def _look_at_steps(self, name: str, fence: Fence | None) -> None:
        for execution_id, known in self.known.items():
            claims = self._books.steps(execution_id)
            active = {each[:3] for each in claims if each.status == "active"}
            handed_in = {each[:3] for each in claims if each.has_result}
            for key in known.active - active:
                known.lost[key] = self._scheduler.now
                if key in handed_in and name == "hand_in_step" and fence is not None:
                    _check_hand_in(execution_id, key, fence)
            known.active = active

    def _read_events(self, where: str, execution_id: str, known: Known, state: State) -> None:
        last = len(known.events) - 2
        if state.last_event_index == last and known.events:
            return
        for first, types, data in self._books.batches(execution_id, last):
            expected = len(known.events) - 1
            if first != expected:
                raise Violation(f"{where}: 4: events begin at {first}, not at {expected}")
            for type_, each in zip(types, data, strict=True):
                _take_event(where, known, type_, each)
                if type_ == "node:started":
                    known.began[each["nodeId"]] = self._scheduler.now
        if len(known.events) - 2 != state.last_event_index:
            raise Violation(
                f"{where}: 4: {len(known.events)} events, and the last has the index"
                f" {state.last_event_index}"
            )

    # -- beside the store

    def published(self, execution_id: str, first_index: int, lines: Sequence[bytes]) -> None:
        """Somebody publishes events: they must be committed, and as they are."""
        known = self.known.get(execution_id, Known())
        for at, line in enumerate(lines, first_index + 1):
            told = orjson.loads(line)
            committed = known.events[at] if at < len(known.events) else None
            if committed != (told["type"], told["data"]):
                raise Violation(f"{execution_id}: published {told}, committed is {committed}")

    def began(self, ctx: NodeContext, fence: Fence, *, has_effects: bool) -> None:
        """A node's first instruction runs, under this fence."""
        known = self.known[ctx.execution_id]
        node = f"{ctx.execution_id}: node {ctx.node_id}, attempt {ctx.attempt}"
        if has_effects and known.started.get(ctx.node_id, 0) < ctx.attempt:
            raise Violation(f"{node} begins and was not granted")
        assert known.state is not None
        epoch = fence.epoch
        now = self._scheduler.now
        if fence.node_id:
            lost_at = known.lost.get((fence.node_id, ctx.attempt, epoch), now)
        else:
            lost_at = known.epochs.get(epoch + 1, now)
            if known.state.epoch == epoch and ctx.node_id in known.settled:
                raise Violation(f"{node}: 2: begins, and its checkpoint is committed")
        if now - lost_at > self._latest_s + SLACK_S:
            raise Violation(f"{node}: 3: begins {now - lost_at:.3f} s after its claim was lost")

    def did(self, ctx: NodeContext, what: str) -> None:
        """An attempt of a node began, had its effect, or fails."""
        self.known[ctx.execution_id].did.add((ctx.node_id, ctx.attempt, what))
        if what == "effect":
            key = (ctx.execution_id, ctx.node_id)
            self.effects.setdefault(key, Counter())[ctx.idempotency_key] += 1

    def commanded(self, execution_id: str, command: str, shown: Any) -> None:
        """A client has the answer 202."""
        state = self.known[execution_id].state
        if command == "stop" and (state is None or state.status != "stopped"):
            raise Violation(f"{execution_id}: 6: stop was answered, {shown['status']}, {state}")

    # -- at rest, and at the end

    def at_rest(self, workers: Sequence[Any]) -> None:
        """Nothing is under way and nobody can do anything before time passes."""
        now, before = self._scheduler.now, self._holding
        self._holding = {}
        for worker in workers:
            for execution_id in self._held_in_vain(worker):
                key = (worker.host.name, execution_id)
                since = self._holding[key] = before.get(key, now)
                if now - since > UNKNOWING_S:
                    raise Violation(f"{execution_id}: 8: waits, and {worker.host.name} holds it")

    def _held_in_vain(self, worker: Any) -> list[str]:
        """What waits, and runs in this process all the same."""
        if worker.host.frozen or worker.host.dead:
            return []
        ids = [run.fence.execution_id for run in worker.running if not run.fence.node_id]
        states = {id_: self.known[id_].state for id_ in ids if id_ in self.known}
        return [id_ for id_, state in states.items() if state is not None and state.waits]

    def parked(self) -> list[str]:
        """The executions that wait for something else than a caller's command."""
        return [id_ for id_, known in self.known.items() if known.state and known.state.is_parked]

    def no_wake_is_lost(self) -> None:
        """At rest, and nothing was ever lost: no result lies with an execution that sleeps."""
        for execution_id, known in self.known.items():
            state = known.state
            if state is None or not state.is_parked:
                continue
            if any(step.has_result for step in self._books.steps(execution_id)):
                raise Violation(f"{execution_id}: sleeps, and a result was handed in")
            for child_id in self._children_of(execution_id):
                child = self.known[child_id].state
                if child is not None and child.child_state == "untold":
                    raise Violation(f"{execution_id}: sleeps, and its child {child_id} has ended")

    def at_end(self, promised: dict[str, set[str]], effectful: Any, emits: Any) -> None:
        """All is healed, and there was time."""
        for execution_id, promises in promised.items():
            known = self.known.get(execution_id)
            if known is None or known.state is None:
                raise Violation(f"{execution_id}: was answered with 201 and isn't there")
            if not known.state.is_final:
                raise Violation(f"{execution_id}: 1: never ends: {promises}, {known.state}")
        for execution_id, known in self.known.items():
            self._check_log(execution_id, known)
            self._check_effects(execution_id, known, effectful)
            self._check_children(execution_id, known, emits)

    def _check_children(self, execution_id: str, known: Known, emits: Any) -> None:
        """One child for each event that was emitted, and each told of as it was."""
        checkpoints = self._books.checkpoints(execution_id)
        completed = [node for node, (status, _) in checkpoints.items() if status == "completed"]
        wanted = sum(emits(execution_id, node) for node in completed)
        # One that waits for its children had not come to its end, or they were its failure.
        fanning = [node for node, (status, _) in checkpoints.items() if status != "completed"]
        most = wanted + sum(emits(execution_id, node) for node in fanning)
        children = self._children_of(execution_id)
        if not wanted <= len(children) <= most or set(children) != set(known.children):
            raise Violation(
                f"{execution_id}: 11: {wanted} events were emitted, children are {children},"
                f" told of {list(known.children)}"
            )
        assert known.state is not None
        for child_id, told in known.children.items():
            child = self.known[child_id].state
            is_owed = told is None and known.state.status == "completed"
            if child is None or is_owed or told not in (None, child.status):
                raise Violation(f"{execution_id}: {child_id} is told {told}, is {child}")

    def _check_log(self, execution_id: str, known: Known) -> None:
        stored = [
            (type_, each)
            for _, types, data in self._books.batches(execution_id, -2)
            for type_, each in zip(types, data, strict=True)
        ]
        if stored != known.events:
            raise Violation(f"{execution_id}: 4: the log reads otherwise than it did")

    def _check_effects(self, execution_id: str, known: Known, effectful: Any) -> None:
        checkpoints = self._books.checkpoints(execution_id)
        completed = {node for node, (status, _) in checkpoints.items() if status == "completed"}
        told = {data["nodeId"] for type_, data in known.events if type_ == "node:completed"}
        if completed != told:
            raise Violation(f"{execution_id}: checkpoints of {completed}, events of {told}")
        for node in completed:
            if not effectful(execution_id, node):
                continue
            keys = self.effects.get((execution_id, node), Counter())
            if set(keys) != {f"{execution_id}:{node}"}:
                raise Violation(f"{execution_id}: 7: effects of node {node}: {dict(keys)}")


def _check_row(where: str, before: State, state: State) -> None:
    # That its parent knows of its end is all that is still to come.
    if before.is_final and state != before._replace(child_state="told"):
        raise Violation(f"{where}: 5: changes a final row from {before} to {state}")
    if before.status != state.status and (before.status, state.status) not in LEGAL:
        raise Violation(f"{where}: from {before.status} to {state.status}")
    if before.requested == "pause" and state.status == "completed":
        raise Violation(f"{where}: 6: completes, and a pause was answered with 202")
    counts = ("epoch", "wake", "last_event_index")
    if state.epoch == before.epoch:
        # A claim begins to count anew.
        counts = (*counts, "writes")
    for column in counts:
        if getattr(state, column) < getattr(before, column):
            raise Violation(f"{where}: {column} goes back from {before} to {state}")
    if state.runnable_at is not None and state.processing_worker_id is not None:
        raise Violation(f"{where}: claimed and runnable at once: {state}")


def _check_writer(
    where: str, name: str, before: State, state: State, fence: Fence | None, execution_id: str
) -> None:
    if name.startswith("claim_") and before.processing_worker_id is not None:
        raise Violation(f"{where}: 3: claims what {before.processing_worker_id} owns")
    if fence is not None and fence.execution_id == execution_id and not fence.node_id:
        if fence.epoch != before.epoch:
            raise Violation(f"{where}: 3: epoch {fence.epoch} writes in epoch {before.epoch}")
    elif (
        before.processing_worker_id is not None
        and state.epoch == before.epoch
        and (state.last_event_index, state.status) != (before.last_event_index, before.status)
    ):
        raise Violation(f"{where}: 3: writes beside the owner {before.processing_worker_id}")


def _check_hand_in(execution_id: str, key: tuple[str, int, int], fence: Fence) -> None:
    if fence.execution_id == execution_id and (key[0], key[2]) != (fence.node_id, fence.epoch):
        raise Violation(f"{execution_id}: 3: epoch {fence.epoch} hands in for {key}")


def _take_event(where: str, known: Known, type_: str, data: Any) -> None:
    if known.events and known.events[-1][0] in TERMINAL:
        raise Violation(f"{where}: 5: {type_} after {known.events[-1][0]}")
    known.events.append((type_, data))
    match type_:
        case "flow:paused":
            known.is_paused = True
            if data["reason"] == "step" and len(known.resumed) > 1:
                raise Violation(f"{where}: a step started {known.resumed}")
        case "flow:resumed":
            known.is_paused = False
            known.resumed = set()
        case "child:spawned":
            known.children[data["childExecutionId"]] = None
        case "child:completed" | "child:failed" | "child:stopped":
            if known.children[data["childExecutionId"]] is not None:
                raise Violation(f"{where}: {type_} of {data}, which was told of before")
            known.children[data["childExecutionId"]] = type_.removeprefix("child:")
        case "node:started":
            _take_start(where, known, data["nodeId"], data["attempt"])
        case "node:completed" | "node:failed":
            _take_settled(where, known, type_, data)


def _take_start(where: str, known: Known, node: str, attempt: int) -> None:
    if known.is_paused:
        raise Violation(f"{where}: node {node} starts, and the execution is paused")
    if node in known.settled:
        raise Violation(f"{where}: 2: node {node} starts again, and was settled")
    if attempt <= known.started.get(node, 0):
        raise Violation(f"{where}: attempt {attempt} of node {node} twice")
    known.started[node] = attempt
    known.resumed.add(node)


def _take_settled(where: str, known: Known, type_: str, data: Any) -> None:
    node = data["nodeId"]
    if node in known.settled:
        raise Violation(f"{where}: {type_} of node {node}, which was settled")
    if node not in known.started:
        raise Violation(f"{where}: {type_} of node {node}, which never started")
    _check_outcome(where, known, type_, data)
    if not data.get("willRetry"):
        known.settled.add(node)
    if "timedOut" in data.get("outputs", {}):
        known.waited[node] = data["outputs"]


def _check_outcome(where: str, known: Known, type_: str, data: Any) -> None:
    """What is told of an attempt is what it did, not what another one did."""
    node = data["nodeId"]
    attempt = known.started[node]
    if type_ == "node:failed" and data["error"]["type"] == "NodeTimeout":
        return
    if (node, attempt, "began") not in known.did:
        raise Violation(f"{where}: {type_} of node {node}, attempt {attempt}, which never ran")
    failed = (node, attempt, "fails") in known.did
    if failed and type_ == "node:completed":
        raise Violation(f"{where}: node {node} completed by attempt {attempt}, which failed")
    if type_ == "node:failed" and data["error"]["type"] == "NodeError" and not failed:
        raise Violation(f"{where}: node {node} failed by attempt {attempt}, which did not")


def _check_end(where: str, known: Known, state: State) -> None:
    last = known.events[-1][0] if known.events else ""
    if TERMINAL.get(last) != (state.status if state.is_final else None):
        raise Violation(f"{where}: 5: the last event is {last}, the status {state.status}")
