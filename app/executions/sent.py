"""A sent step in the process that took it: one node, run under a claim of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from queue import Empty
from typing import Any

import orjson

from app.engine import Start
from app.engine.retries import retry_delay_ms
from app.engine.state import as_node_failure
from app.errors import NodeTimeout, StoreUnavailable, ValidationFailed
from app.events.types import Event, EventType
from app.events.wire import from_json, to_json
from app.executions.arrivals import Arrival, Commanded, Disowned, Ended, GivenUp, Stale, Told
from app.executions.opening import facts_of, limit_ms, new_engine, restore
from app.executions.steps import Step, begins_until
from app.executions.surroundings import Surroundings
from app.nodes.calling import CallingFlow
from app.nodes.fan_out import FanningOut
from app.nodes.signal import AwaitingSignal
from app.nodes.timer import Sleeping
from app.store.records import ClaimedStep, SentStep
from app.values.ports import Value

#: How much of what a node says is kept for its result, in bytes of JSON.
MOST_KEPT_BYTES = 4 * 1024 * 1024
#: The longest (s) that a step is waited for without looking up.
LONGEST_WAIT_S = 3600.0


class KeptEvents:
    """What a node says, up to MOST_KEPT_BYTES of it, and how much was left out."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._events: list[Event] = []
        self._room = MOST_KEPT_BYTES
        self._left_out = 0

    def keep(self, event: Event) -> None:
        """Keep an event, if there is room; once there is none, there never is again."""
        self._room -= len(to_json(event.data))
        if self._room >= 0:
            self._events.append(event)
        else:
            self._left_out += 1

    def all(self) -> list[Event]:
        """The events in order, and, if some were left out, a line that tells how many."""
        if not self._left_out:
            return self._events
        log = f"{self._left_out} more events of this node were left out"
        data = {"nodeId": self._node_id, "level": "warning", "log": log}
        return [*self._events, Event(EventType.NODE_DEBUG_LOG, data)]


class SentRun:
    """A step that this process claimed, from its inputs to its result. For one thread.

    `sent_at` is when its claim was sent, on the clock of `around`: a process that was held up
    on its way here has lost it by now.

    Live events are handed in with the result: the execution's owner numbers them.
    """

    def __init__(self, claimed: ClaimedStep, around: Surroundings, sent_at: float) -> None:
        self.fence = claimed.fence
        self.inbox = around.mailbox()
        self._claimed = claimed
        self._around = around
        self._options: dict[str, Any] = orjson.loads(claimed.options)
        self._confirmed_at = sent_at
        self._told = KeptEvents(claimed.fence.node_id)

    def alert(self) -> None:
        """Say, from any thread, that a command came for the execution."""
        self.inbox.put(Commanded())

    def confirm(self, sent_at: float, _requested: str | None, _wake: int) -> None:
        """Say, from any thread, that a renewal sent at `sent_at` found the claim to hold."""
        self._confirmed_at = max(self._confirmed_at, sent_at)

    def disown(self) -> None:
        """Say, from any thread, that the claim was not renewed."""
        self.inbox.put(Disowned())

    def give_up(self) -> None:
        """Say, from any thread, that the process ends and waits for no node any more."""
        self.inbox.put(GivenUp())

    def drive(self) -> bool:
        """Run the node and hand its result in. False: the step is another's by now."""
        try:
            step = self._open()
        except ValidationFailed as error:
            return self._hand_in(_failed(error, 0, None))
        self._around.launch(step)
        result = self._await(step)
        return result is not None and self._hand_in(result)

    def _open(self) -> Step:
        claimed, store = self._claimed, self._around.store
        execution_id, node_id = claimed.fence.execution_id, claimed.fence.node_id
        wiring = self._around.wiring(claimed.flow_id, claimed.flow_version)
        engine = new_engine(claimed, wiring, self._options, side_by_side=False)
        stored = self._around.insist(lambda: store.checkpoints(execution_id))
        restore(engine, stored, {})
        node = wiring.plan.nodes[wiring.plan.index_of[node_id]]
        step = self._around.step(
            facts_of(claimed),
            Start(node, claimed.attempt),
            engine.inputs(node.index),
            self.inbox,
            begins_until(self._confirmed_at, self._around.lease_s),
        )
        step.claim_epoch = self.fence.epoch
        step.limit_ms = limit_ms(node.timeout_ms, self._options)
        step.due = self._around.clock() + step.limit_ms / 1000
        return step

    def _await(self, step: Step) -> dict[str, Value] | None:
        """Wait for the node's end, its time limit or the loss of the claim (None)."""
        while True:
            left_s = step.due - self._around.clock()
            if left_s <= 0:
                step.cancel(timed_out=True)
                error = NodeTimeout(f"not done within {step.limit_ms} ms")
                node = step.start.node.index
                self._around.count(step, Ended(node, step.attempt, None, error, step.limit_ms))
                return self._result(_failed(error, step.limit_ms, step))
            match self._arrival(step, min(left_s, LONGEST_WAIT_S)):
                case Told(event=event):
                    step.heard += 1
                    self._told.keep(event)
                case Ended() as ended:
                    self._around.count(step, ended)
                    return self._result(_outcome(ended, step))
                case Stale() | Disowned() | Commanded() if not self._is_ours():
                    step.cancel(timed_out=False)
                    return None
                case Stale():
                    step.fresh_until = begins_until(self._confirmed_at, self._around.lease_s)
                    self._around.launch(step)
                case GivenUp():
                    step.cancel(timed_out=False)
                    self._give_back(step)
                    return None

    def _give_back(self, step: Step) -> None:
        """Have another process take the step, as if it had not been taken here."""
        self._around.insist(lambda: self._around.store.release(self.fence))
        if self._around.send is not None:
            self._around.send(step.execution_id, {step.node_id: step.start.node.queue})

    def _arrival(self, step: Step, wait_s: float) -> Arrival | None:
        try:
            arrival = self.inbox.get(timeout=wait_s)
        except Empty:
            return None
        if isinstance(arrival, Told | Ended):
            # What was sent by now comes before what is said now.
            for chunk in step.take_chunks():
                self._told.keep(chunk)
        return arrival

    def _is_ours(self) -> bool:
        """Ask whether the step is still to be run: not stopped, not another's."""
        sent_at = 0.0

        def ask() -> bool:
            nonlocal sent_at
            sent_at = self._around.clock()
            return self._around.store.holds(self.fence)

        held = self._around.insist(ask)
        if held:
            self._confirmed_at = max(self._confirmed_at, sent_at)
        return held

    def _result(self, result: dict[str, Value]) -> dict[str, Value]:
        told = [[str(event.type), event.data] for event in self._told.all()]
        return result | {"events": told}

    def _hand_in(self, result: Mapping[str, Value]) -> bool:
        text = to_json(dict(result)).decode()
        store, fence = self._around.store, self.fence
        try:
            held = store.hand_in(fence, text)
        except StoreUnavailable:
            # Done or not, doing it again is void or the same.
            self._around.insist(lambda: store.hand_in(fence, text))
            held = True
        if held and (owner := self._around.insist(lambda: store.wake(fence.execution_id))):
            # Without one the rest of the chain claims the execution.
            self._around.herald.wake(fence.execution_id, owner)
        return held


def _outcome(ended: Ended, step: Step) -> dict[str, Value]:
    took_ms = ended.execution_ms
    match ended.error:
        case None:
            emitted: list[Value] = [list(each) for each in ended.emitted]
            outputs = dict(ended.outputs or {})
            return {"outputs": outputs, "emitted": emitted, "executionMs": took_ms}
        case Sleeping(delay_ms=delay_ms, port=port):
            return {"sleep": [delay_ms, port], "executionMs": took_ms}
        case CallingFlow(flow_id=flow_id, inputs=inputs, waits=waits):
            return {"call": [flow_id, dict(inputs), waits], "executionMs": took_ms}
        case FanningOut(flow_id=flow_id, target=target, concurrency=concurrency):
            return {"fanOut": [flow_id, target, concurrency], "executionMs": took_ms}
        case AwaitingSignal(name=name, timeout_ms=timeout_ms):
            return {"signal": [name, timeout_ms], "executionMs": took_ms}
        case error:
            return _failed(error, took_ms, step)


def _failed(error: BaseException, execution_ms: int, step: Step | None) -> dict[str, Value]:
    delay_ms = None
    if step is not None:
        delay_ms = retry_delay_ms(step.start.node.retry, step.attempt, error)
    return {
        "error": as_node_failure(error).as_json(),
        "retryDelayMs": delay_ms,
        "executionMs": execution_ms,
    }


def events_of(result: Mapping[str, Any]) -> list[Event]:
    """The live events that came with a result."""
    return [Event(EventType(type_), data) for type_, data in result.get("events", ())]


class SentSteps:
    """The steps of a run that were sent, as its owner follows them."""

    def __init__(self) -> None:
        #: Node id and attempt of what is under way elsewhere.
        self.nodes: dict[str, int] = {}
        self._results: list[tuple[str, Mapping[str, Any]]] = []
        self._lost: list[tuple[str, Event]] = []
        self._done: list[str] = []

    def read(self, steps: Iterable[SentStep], granted: Mapping[str, int]) -> None:
        """Sort out what was read: under way, handed in, lost with its owner, or left over.

        A granted step of which nothing is found was not sent: it starts as any interrupted
        node does.
        """
        for step in steps:
            if granted.get(step.node_id) != step.attempt:
                self._done.append(step.node_id)
            elif step.status == "expired":
                self.nodes.pop(step.node_id, None)
                told = Event(EventType.EXECUTION_RECOVERED, from_json(step.result or "{}"))
                self._lost.append((step.node_id, told))
            elif step.result is not None:
                self.nodes[step.node_id] = step.attempt
                self._results.append((step.node_id, from_json(step.result)))
            else:
                self.nodes[step.node_id] = step.attempt

    def take_results(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Hand over the results that were handed in."""
        results, self._results = self._results, []
        for node_id, _ in results:
            del self.nodes[node_id]
            self._done.append(node_id)
        return results

    def take_lost(self) -> list[tuple[str, Event]]:
        """Hand over the steps whose owners are lost, each with the event that tells it."""
        lost, self._lost = self._lost, []
        return lost

    def take_done(self) -> list[str]:
        """Hand over the steps that may be forgotten once what is gathered is committed."""
        done, self._done = self._done, []
        return done
