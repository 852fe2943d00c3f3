"""One run of a claimed execution, from its last checkpoint to its end, a park, or a loss."""

from __future__ import annotations

import logging
from enum import Enum
from math import inf
from queue import Empty
from typing import Any

import orjson

from app.engine import Completion, Start, Verdict
from app.errors import StoreUnavailable, ValidationFailed
from app.executions.arrivals import (
    Arrival,
    Commanded,
    Disowned,
    Ended,
    GivenUp,
    Resolved,
    Stale,
    Streamed,
    Told,
)
from app.executions.attempts import Attempts
from app.executions.commands import Commands
from app.executions.flow_time import FlowTime
from app.executions.offspring import Offspring
from app.executions.opening import facts_of, overdue, refusal
from app.executions.parking import Parking
from app.executions.results import Results
from app.executions.resuming import Resumption
from app.executions.sending import Sending
from app.executions.sent import SentSteps
from app.executions.settlement import Settlement
from app.executions.signals import SignalWaits
from app.executions.slicing import TimeSlice
from app.executions.surroundings import Surroundings
from app.executions.timers import SignalWait, Timers, Wait
from app.executions.writer import Outcome, Writer
from app.store.endings import PARENT_FAILED
from app.store.records import Claimed, Ending, Parked, Progress, Woken

#: A timer that is due sooner (s) is waited for in place; a later one holds no worker.
WAIT_IN_PLACE_S = 0.1

#: How much longer (s) than due the end of a node is waited for.
GRACE_S = 0.001
#: The longest (s) that a run waits for anything without looking up.
LONGEST_WAIT_S = 3600.0

_log = logging.getLogger(__name__)


class RunEnd(Enum):
    """How a run left this process."""

    FINISHED = "finished"
    PARKED = "parked"
    PAUSED = "paused"
    RELEASED = "released"
    LOST = "lost"


class Run:
    """A claimed execution in this process. Driven by one thread; nodes run in others.

    `sent_at` is when the claim was sent: nothing begins on its strength long after.
    """

    def __init__(self, claimed: Claimed, around: Surroundings, sent_at: float) -> None:
        self.fence = claimed.fence
        self.parent_execution_id = claimed.parent_execution_id
        self.inbox = around.mailbox()
        self._claimed = claimed
        self._around = around
        self._clock = around.clock
        self._options: dict[str, Any] = orjson.loads(claimed.options)
        self._time = FlowTime(claimed, self._options, around.clock)
        self._writer = Writer(
            around.store,
            around.publish,
            claimed.fence,
            claimed.writes,
            clock=around.clock,
            pause=around.pause,
            request=claimed.request,
            herald=around.herald,
            meter=around.meter,
            only_watched=around.only_watched,
        )
        self._writer.confirmed_at = sent_at
        self._commands = Commands(
            self._writer, self._options["breakpoints"], claimed.breakpoints_hit or ()
        )
        self._is_lost = self._is_given_up = False
        self._sent = SentSteps()
        self._sending = Sending(claimed.fence, self._sent, around)
        self._timers = Timers()
        self._slice = TimeSlice(claimed.fence.execution_id, around)
        self._wake = self._told_wake = claimed.wake

    def drive(self) -> RunEnd:
        """Run until the execution ends, waits, or is lost to this process."""
        try:
            self._ledger = Resumption(
                self._claimed, self._around, self._writer, self._timers, self._sent
            ).open(self._options)
        except ValidationFailed as error:
            return self._refuse(error)
        self._open()
        # What is due already counts as ready for the step that was requested.
        self._fire_timers()
        while True:
            end = self._advance()
            if end is not None:
                self._attempts.cancel_all()
                return end
            self._receive()

    def _open(self) -> None:
        around, ledger = self._around, self._ledger
        self._signals = SignalWaits(self.fence, ledger, self._timers, around)
        self._offspring = Offspring(self._claimed, around, ledger, self._timers)
        self._settlement = Settlement(ledger, self._timers, self._signals, self._offspring, around)
        self._attempts = Attempts(
            facts_of(self._claimed),
            self._options,
            self.inbox,
            ledger,
            self._timers,
            self._settlement,
            around,
        )
        self._parking = Parking(ledger, self._sent, self._offspring.children, around)
        self._results = Results(ledger, self._sent, self._settlement, self._commands, around)
        self._offspring.begin()
        self._results.take()
        self._lose_unless(self._signals.look())

    def disown(self) -> None:
        """Say, from any thread, that the lease was not renewed."""
        self.inbox.put(Disowned())

    def alert(self) -> None:
        """Say, from any thread, that a command came."""
        self.inbox.put(Commanded())

    def give_up(self) -> None:
        """Say, from any thread, that the process ends and waits for no node any more."""
        self.inbox.put(GivenUp())

    def confirm(self, sent_at: float, requested: str | None, wake: int) -> None:
        """Say, from any thread, what a renewal sent at `sent_at` found: that the fence holds."""
        self._writer.confirmed_at = max(self._writer.confirmed_at, sent_at)
        known = self._writer.request
        has_arrived, self._told_wake = wake != self._told_wake, wake
        if has_arrived or requested != (known.command if known else None):
            self.alert()

    def _refuse(self, error: ValidationFailed) -> RunEnd:
        """Fail an execution whose flow can't run here any more."""
        message, events = refusal(error, self._time.elapsed_ms())
        self._writer.gather(events, 0)
        descendants = PARENT_FAILED if self._claimed.begun else None
        ending = Ending("failed", message, descendants=descendants)
        outcome = self._writer.commit("{}", Progress(), ending)
        return self._finished() if outcome is Outcome.HELD else RunEnd.LOST

    # -- one boundary

    def _advance(self) -> RunEnd | None:
        while (end := self._cross()) is Outcome.AGAIN:
            pass
        return RunEnd.LOST if isinstance(end, Outcome) else end

    def _cross(self) -> RunEnd | Outcome | None:
        """Cross one boundary; AGAIN where it is to be decided anew."""
        if self._is_lost:
            return RunEnd.LOST
        if self._is_given_up:
            return self._release()
        if self._time.is_up:
            return self._end_overdue()
        ledger = self._ledger
        if ledger.is_due(self._clock()):
            self._attempts.tell()
        # What a pause held back that was withdrawn, or never took effect.
        self._offspring.fan_outs.go_on()
        ledger.gather()
        mark = self._writer.mark
        starts = self._take_starts()
        if not starts and (end := self._conclude()) is not None:
            return end
        ledger.gather()
        if self._must_commit(starts) and (outcome := self._commit(mark)) is not Outcome.HELD:
            self._commands.take_back(ledger.engine, starts)
            return outcome
        return self._go_on(starts)

    def _go_on(self, starts: list[Start]) -> RunEnd | Outcome | None:
        """What was to be committed is: have the granted nodes begin, and see to what waits."""
        here, elsewhere = self._sending.split(starts)
        if elsewhere and not self._sending.send(elsewhere):
            return RunEnd.LOST
        for start in here:
            self._attempts.launch(start)
        if self._signals.are_new:
            self._lose_unless(self._signals.look_for_new())
            return Outcome.AGAIN
        return None if self._attempts.are_under_way else self._settle_down()

    def _end_overdue(self) -> RunEnd | Outcome:
        """The flow's time is up: it fails, whatever its nodes do and whatever is requested."""
        self._attempts.cancel_all()
        return self._end(overdue(self._options))

    def _end(self, verdict: Verdict) -> RunEnd | Outcome:
        descendants = PARENT_FAILED if self._offspring.children.are_open else None
        elapsed_ms = self._time.elapsed_ms()
        outcome = self._sending.settle(self._ledger.conclude(verdict, elapsed_ms, descendants))
        return self._finished() if outcome is Outcome.HELD else outcome

    def _finished(self) -> RunEnd:
        """The execution has ended: its parent is told, by the sweep if not from here."""
        parent = self._claimed.parent_execution_id
        if parent is not None:
            try:
                owner = self._around.store.wake(parent)
            except StoreUnavailable as error:
                _log.info("left it to the sweep to tell execution %s: %s", parent, error)
            else:
                self._around.herald.wake(parent, owner)
        return RunEnd.FINISHED

    def _take_starts(self) -> list[Start]:
        engine, attempts = self._ledger.engine, self._attempts
        is_busy, streams = attempts.are_under_way, attempts.send_streams
        if self._slice.starts_nothing(engine, is_busy=is_busy, streams=streams):
            return []
        return self._commands.take_starts(engine)

    def _conclude(self) -> RunEnd | Outcome | None:
        """End the run, or pause it, where nothing is left to do before."""
        ledger = self._ledger
        verdict = None if self._commands.pauses_first else ledger.engine.verdict()
        if verdict is not None and not self._waits_for_children(verdict):
            return self._end(verdict)
        halt = self._commands.halt(ledger.engine)
        if halt is None:
            return None
        outcome = ledger.pause(halt)
        return RunEnd.PAUSED if outcome is Outcome.HELD else outcome

    def _waits_for_children(self, verdict: Verdict) -> bool:
        return isinstance(verdict, Completion) and self._offspring.children.are_open

    def _must_commit(self, starts: list[Start]) -> bool:
        if any(start.node.spec.effects or self._sending.sends(start) for start in starts):
            return True
        return self._ledger.is_due(self._clock())

    def _commit(self, mark: int | None = None) -> Outcome:
        outcome = self._sending.settle(self._ledger.commit(mark))
        if outcome is Outcome.HELD:
            self._time.begin()
        return outcome

    # -- nothing runs

    def _settle_down(self) -> RunEnd | Outcome | None:
        """Wait where a wait is short, else give the execution up."""
        if self._around.is_draining() or self._slice.is_over:
            return self._release()
        wait = self._timers.soonest_wait()
        if wait is not None and wait.due - self._clock() <= WAIT_IN_PLACE_S:
            return None
        return self._park(wait)

    def _release(self) -> RunEnd:
        self._ledger.gather()
        if not self._writer.is_empty and self._commit() is Outcome.LOST:
            return RunEnd.LOST
        store = self._around.store
        give_up = store.give_way if self._slice.is_over else store.release
        self._around.insist(lambda: give_up(self.fence))
        return RunEnd.RELEASED

    def _park(self, wait: Wait | None) -> RunEnd | Outcome:
        if not self._writer.is_empty and self._commit() is Outcome.LOST:
            return RunEnd.LOST
        match self._parking.park(wait, self._wake):
            case Parked():
                return RunEnd.PARKED
            case Woken(wake):
                self._wake = wake
                self._hear()
                self._results.read()
                # If what arrived was nothing, the run parks anew.
                return Outcome.AGAIN
            case _:
                return RunEnd.LOST

    # -- arrivals

    def _receive(self) -> None:
        """Take what arrives, or what is due, until something is to be decided."""
        wait_s = max(0.0, min(self._next_due() - self._clock(), LONGEST_WAIT_S))
        arrival = self._arrival(wait_s)
        if arrival is None and self._attempts.are_under_way:
            # On a busy machine the node's thread may have waited for a processor as long as
            # this one: what it ends with now saves a statement.
            arrival = self._arrival(GRACE_S)
        if arrival is not None:
            self._take(arrival)
            # What came by now, no more: a talkative node must not keep the run from its timers.
            for _ in range(self.inbox.qsize()):
                self._take(self.inbox.get())
        self._fire_timers()

    def _arrival(self, wait_s: float) -> Arrival | None:
        try:
            return self.inbox.get(wait_s > 0, wait_s)
        except Empty:
            return None

    def _next_due(self) -> float:
        write = inf if self._writer.due_at is None else self._writer.due_at
        return min(self._timers.next_due(), self._time.deadline, self._slice.held_until, write)

    def _take(self, arrival: Arrival) -> None:
        attempts = self._attempts
        match arrival:
            case Stale(node, attempt) if attempts.is_current(node, attempt):
                self._on_stale(node)
            case Ended() | Told() | Streamed() | Resolved():
                # What comes of an attempt that was given up counts no more.
                if attempts.is_current(arrival.node, arrival.attempt):
                    attempts.hear(arrival)
            case Disowned() | Commanded():
                self._hear()
                if self._sent.nodes and not self._is_lost:
                    self._results.read()
            case GivenUp():
                self._is_given_up = True
                self._attempts.cancel_all()

    def _on_stale(self, node: int) -> None:
        """A step was held up before it began: ask whether the run is still ours."""
        self._hear()
        if not self._is_lost:
            self._attempts.relaunch(node)

    def _hear(self) -> None:
        """Ask what is requested, what signals came, and which children have ended."""
        self._lose_unless(self._writer.hear() and self._signals.look())
        self._offspring.look()

    def _lose_unless(self, is_ours: bool) -> None:
        """Where the run is not ours any more, it ends here at once."""
        if not is_ours:
            self._is_lost = True
            self._attempts.cancel_all()

    def _fire_timers(self) -> None:
        engine, now = self._ledger.engine, self._clock()
        for node, attempt in self._timers.fire(now):
            if self._attempts.is_current(node, attempt):
                self._attempts.time_out(node)
                continue
            wait = self._timers.find_wait(node) if engine.attempts[node] == attempt else None
            # What is due may be the limit of the attempt before the wait.
            if wait is not None and wait.due <= now:
                self._end_wait(wait)

    def _end_wait(self, wait: Wait) -> None:
        if isinstance(wait.plan, SignalWait):
            self._lose_unless(self._signals.time_out(wait.node, wait.plan))
        else:
            self._timers.take_wait(wait.node)
            self._settlement.due(wait)
