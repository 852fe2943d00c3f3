"""The sweep: whatever should be moving and is not, is made to move. One process at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Protocol

from app.events.log import STATUS_AT_END
from app.events.wire import envelopes
from app.logs import bound
from app.recovery.deaths import DeathWatch
from app.recovery.retention import Retention
from app.recovery.understudy import Understudy
from app.store.bulk import COMMAND_BATCH
from app.store.records import Effect, Recovered, Told
from app.store.sweeps import LostClaim, PgSweepStore

#: How many rows one statement of the sweep takes.
BATCH = 500
#: How many of those batches one turn carries out: recoveries must not wait for them.
MOST_COMMAND_BATCHES = 5
#: A sent step that lies for so long (ms) is sent again: nothing else leads a worker to it.
LYING_STEP_MS = 2000
#: Work that lies for so long (ms) gets a hint: a message for it may be lost.
LYING_MS = 300
#: A flow whose time is up is left to its owner for so long (ms): it keeps the time itself.
OWNERS_GRACE_MS = 2000
#: Timers are looked at again after so long (ms) at the soonest: one look fires what came due.
FINEST_MS = 10

_log = logging.getLogger(__name__)

Tell = Callable[[Effect, str], object]
Publish = Callable[[str, int, Sequence[bytes]], object]


#: Hears of an execution that was taken, why, and from which worker.
OnRecovered = Callable[[str, str, str], object]


class Messages(Protocol):
    """What the sweep has sent; every message is a hint."""

    def room(self, wanted: int, queue: str) -> int:
        """How many of so many messages a queue may get: no more than there are slots to wake."""
        ...

    def hint(self, execution_ids: Sequence[str]) -> None:
        """Tell workers of executions that may be claimed, in the order of claiming."""
        ...

    def send_steps(self, execution_id: str, queues: Mapping[str, str]) -> None:
        """Send steps of an execution, each node's to its queue."""
        ...


class SweepMeter(Protocol):
    """Counts what the sweep does; times in seconds."""

    def swept(self, seconds: float) -> None:
        """A sweep took so long."""
        ...

    def recovered(self, reason: str) -> None:
        """An execution or a sent step was taken from its owner."""
        ...

    def ended(self, status: str) -> None:
        """An execution was given this final status."""
        ...


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """`recovers` is ENABLE_RECOVERY; `most_crashes` RECOVERY_MAX_FAILURE_COUNT.

    `retention_days` is RETENTION_DAYS: what ended so long ago is deleted; 0 keeps everything.

    `look_ms`: a timer that is set between two beats, and due before the next one, is found so
    late at most. `lock_look_ms`: who has the beat looks so often whether a process has died; so do
    all others together.
    """

    recovers: bool
    most_crashes: int
    interval_ms: int
    look_ms: int = 50
    lock_look_ms: int = 100
    retention_days: int = 0


class Sweep:
    """One process's part in sweeping. For one thread.

    `may_judge` says whether this process has renewed its own leases long enough without a
    break to tell others' leases expired; `pause` waits for so many seconds; `tell` tells what a
    command did to whoever it concerns; `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        store: PgSweepStore,
        options: SweepOptions,
        *,
        publish: Publish,
        messages: Messages,
        may_judge: Callable[[], bool],
        pause: Callable[[float], object],
        tell: Tell,
        clock: Callable[[], float],
        meter: SweepMeter | None = None,
        on_recovered: OnRecovered | None = None,
    ) -> None:
        self._store = store
        self._options = options
        self._publish = publish
        self._messages = messages
        self._may_judge = may_judge
        self._pause = pause
        self._tell_effect = tell
        self._clock = clock
        self._meter = meter
        self._on_recovered = on_recovered
        self._timers_at = 0.0
        self._are_over = False
        self._lock_look_s = options.lock_look_ms / 1000
        self._deaths = DeathWatch(store.unlocked, clock)
        self._understudy = Understudy(
            store, self._deaths, self._lock_look_s, pause=pause, clock=clock
        )
        self._retention = Retention(store, options.retention_days, clock, self._fire_timers)

    def turn(self) -> float:
        """Sweep if the beat is due and ours, up to the next one; else stand by until it is due.

        Gives how soon (s) to try again. Raises StoreUnavailable.
        """
        began, dead = self._clock(), []
        if due_ms := self._store.take_beat(self._options.interval_ms):
            if not self._options.recovers:
                return due_ms / 1000
            dead = self._understudy.wait(due_ms / 1000)
            if not dead:
                return 0.0
            began = self._clock()
        next_beat_at = began + self._options.interval_ms / 1000
        self._take_from(dead)
        self._sweep()
        if self._meter is not None:
            self._meter.swept(self._clock() - began)
        self._keep_time(next_beat_at)
        return max(0.0, next_beat_at - self._clock())

    def _sweep(self) -> None:
        for work in (
            self._recover_dead,
            self._recover_expired,
            self._tell_untold,
            self._resend_steps,
            self._tell_lying,
            self._carry_out_commands,
            self._forget_keys,
            self._retention.turn,
            self._end_overrun,
        ):
            self._fire_timers()
            work()
        self._fire_timers()
        self._end_what_is_over()

    def _tell_untold(self) -> None:
        self._messages.hint(self._store.tell_untold(BATCH))

    def _tell_lying(self) -> None:
        self._messages.hint(self._store.left_lying(LYING_MS, BATCH))

    def _forget_keys(self) -> None:
        self._store.forget_keys(BATCH)

    def _end_overrun(self) -> None:
        self._end_all(lambda: self._store.end_overrun(BATCH, OWNERS_GRACE_MS))

    def _resend_steps(self) -> None:
        """Send again what lies in a queue, as far as there are slots of its consumers to wake."""
        for queue in self._store.lying_queues(LYING_STEP_MS):
            if room := self._messages.room(BATCH, queue):
                for execution_id, node_id in self._store.resend_steps(LYING_STEP_MS, queue, room):
                    self._messages.send_steps(execution_id, {node_id: queue})

    def _carry_out_commands(self) -> None:
        """Carry on with commands to many executions, where their call ended before they did."""
        for _ in range(MOST_COMMAND_BATCHES):
            self._fire_timers()
            batch = self._store.carry_out_commands(COMMAND_BATCH)
            for done in batch.done:
                self._tell_effect(done.effect, done.action)
            self._messages.hint(batch.runnable())
            if batch.size < COMMAND_BATCH:
                return

    def _recover_dead(self) -> None:
        """Look whether processes have died; take what those own."""
        if self._options.recovers:
            self._take_from(self._deaths.look())

    def _take_from(self, dead: Sequence[str]) -> None:
        """Take what dead processes own, and forget them."""
        if not dead:
            return
        while claims := self._store.claims_of(dead, BATCH):
            if not self._recover(claims, "worker_died"):
                # What is left can't be taken now; it is found again when its lease is over.
                break
        self._store.unregister(dead)

    def _recover_expired(self) -> None:
        if self._options.recovers and self._may_judge():
            self._recover(self._store.expired(BATCH), "expired_claim")
            if silent := self._store.silent():
                self._store.unregister(silent)

    def _recover(self, claims: Sequence[LostClaim], reason: str) -> int:
        """Take what can be taken; gives how many that were."""
        runnable: list[str] = []
        count = 0
        for claim in claims:
            self._fire_timers()
            taken = self._take(claim, reason)
            count += bool(taken)
            if isinstance(taken, Recovered):
                self._tell(taken)
            if taken:
                self._count(taken, reason)
                if self._on_recovered is not None:
                    self._on_recovered(claim.execution_id, reason, claim.worker_id)
            if taken and not (isinstance(taken, Recovered) and taken.ended):
                runnable.append(claim.execution_id)
        self._messages.hint(runnable)
        return count

    def _count(self, taken: Recovered | bool, reason: str) -> None:
        if self._meter is not None:
            self._meter.recovered(reason)
            if isinstance(taken, Recovered) and taken.ended:
                self._meter.ended("failed")

    def _take(self, claim: LostClaim, reason: str) -> Recovered | bool | None:
        most_crashes = self._options.most_crashes
        if claim.node_id:
            return self._store.recover_step(claim, reason, most_crashes)
        return self._store.recover(claim, reason, most_crashes)

    def _tell(self, recovered: Recovered) -> None:
        with bound(executionId=recovered.execution_id):
            _log.warning(
                "took execution %s from %s: %s",
                recovered.execution_id,
                recovered.previous_worker_id,
                recovered.reason,
            )
        events = [(type_, data) for _, type_, data in recovered.events]
        told = Told(recovered.events[0][0], recovered.at, events)
        self._publish_events(recovered.execution_id, told)
        for effect in recovered.stopped:
            self._tell_effect(effect, "stop")

    def _publish_events(self, execution_id: str, told: Told) -> None:
        lines = envelopes(execution_id, told.first_index, told.at, told.events)
        self._publish(execution_id, told.first_index, lines)

    def _end_all(self, end: Callable[[], Sequence[Effect]]) -> None:
        """End what is too late, batch by batch; then tell those whose children that were."""
        count = 0
        while effects := end():
            self._fire_timers()
            count += len(effects)
            for effect in effects:
                if effect.told is not None:
                    self._publish_events(effect.execution_id, effect.told)
                    self._count_end(effect.told)
                if effect.owners:
                    # What descends from a flow that nobody owns may be owned.
                    self._tell_effect(replace(effect, told=None), "stop")
        if count:
            self._messages.hint(self._store.tell_untold(BATCH))

    def _count_end(self, told: Told) -> None:
        if self._meter is not None:
            self._meter.ended(STATUS_AT_END[told.events[-1][0]])

    def _fire_timers(self) -> None:
        """Fire what is due, unless it was looked for a moment ago: whatever else there is to do."""
        if self._ms_to_timers() > 0:
            return
        look_ms = self._options.look_ms
        fired = self._store.fire_timers(BATCH, look_ms)
        wait_ms = look_ms if fired.next_ms is None else min(max(fired.next_ms, FINEST_MS), look_ms)
        self._timers_at = self._clock() + wait_ms / 1000
        self._are_over |= fired.are_over
        self._messages.hint(fired.ids)

    def _end_what_is_over(self) -> None:
        """End what was not started in time, and flows whose time is up."""
        if self._are_over:
            self._are_over = False
            self._end_all(lambda: self._store.end_unstarted(BATCH))
            self._end_all(lambda: self._store.end_overdue(BATCH))

    def _keep_time(self, until: float) -> None:
        """Fire each timer at its time, also those that are set meanwhile, and see deaths."""
        while (left_ms := round((until - self._clock()) * 1000)) > 0:
            if not (next_look_ms := self._next_look_ms()):
                self._recover_dead()
                continue
            self._fire_timers()
            self._end_what_is_over()
            pause_ms = min(left_ms, next_look_ms, self._ms_to_timers())
            if pause_ms and self._pause(pause_ms / 1000):
                # Told to end: it would not wait any more.
                return

    def _ms_to_timers(self) -> int:
        return max(0, ceil(round((self._timers_at - self._clock()) * 1000, 3)))

    def _next_look_ms(self) -> int:
        """How soon the locks are to be looked at; not in this turn, without recovery."""
        if not self._options.recovers:
            return self._options.interval_ms
        return ceil(round(self._deaths.next_in_s(self._lock_look_s) * 1000, 3))
