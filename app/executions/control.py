"""Commanding executions: pause, resume, step, stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from app.caller import Caller
from app.errors import Conflict, StoreUnavailable
from app.executions.commands import PAUSED_BY_USER, STOPPED_BY_USER
from app.executions.effects import Effects
from app.executions.service import ExecutionService
from app.store.protocol import CommandStore
from app.store.records import Effect
from app.streams.protocol import SignalBox
from app.values.ports import Value

#: How long (s) a stop waits for the owners to let go.
LET_GO_WITHIN_S = 0.1

_log = logging.getLogger(__name__)


class Control:
    """The commands. Every method may raise StoreUnavailable, and raises NotFound.

    `clock` is monotonic, in seconds; `pause` waits for so many.
    """

    def __init__(
        self,
        executions: ExecutionService,
        commands: CommandStore,
        signals: SignalBox,
        effects: Effects,
        *,
        clock: Callable[[], float],
        pause: Callable[[float], object],
    ) -> None:
        self._executions = executions
        self._commands = commands
        self._signals = signals
        self._effects = effects
        self._clock = clock
        self._pause = pause

    def pause(
        self, execution_id: str, caller: Caller, reason: str | None = None
    ) -> dict[str, Value]:
        """Pause at the next node boundary. Raises Conflict where it doesn't run."""
        self._executions.check(execution_id, caller)
        effect = self._commands.pause(execution_id, reason or PAUSED_BY_USER, caller)
        return self._answer("pause", execution_id, caller, effect)

    def resume(self, execution_id: str, caller: Caller) -> dict[str, Value]:
        """Go on, or withdraw a pause that is not effective yet. Raises Conflict elsewhere."""
        self._executions.check(execution_id, caller)
        effect = self._commands.resume(execution_id, caller)
        shown = self._answer("resume", execution_id, caller, effect)
        if effect is not None and not effect.owners:
            self._effects.hint([execution_id])
        return shown

    def step(self, execution_id: str, caller: Caller) -> dict[str, Value]:
        """Run one node and pause again, or complete it where all is done.

        Raises Conflict where it isn't paused, or no node is ready.
        """
        shown = self._answer("step", execution_id, caller, self._request_step(execution_id, caller))
        self._effects.hint([execution_id])
        return shown

    def stop(
        self, execution_id: str, caller: Caller, reason: str | None = None
    ) -> dict[str, Value]:
        """Stop for good, with all that descends from it. Raises Conflict where it is final.

        Answers once the owners have let go, or after 0.1 s.
        """
        self._executions.check(execution_id, caller)
        effects = self._commands.stop(execution_id, reason or STOPPED_BY_USER, caller)
        until = self._clock() + LET_GO_WITHIN_S
        for effect in effects[1:]:
            self._effects.tell(effect, "stop")
        shown = self._answer("stop", execution_id, caller, effects[0] if effects else None)
        self._tell_parent(shown["parentExecutionId"])
        self._await_owners(effects, until)
        return shown

    def _tell_parent(self, parent: str | None) -> None:
        """A child was stopped: the execution that made it goes on."""
        if parent is None:
            return
        try:
            owner = self._commands.wake(parent)
        except StoreUnavailable as error:
            _log.info("left it to the sweep to tell execution %s: %s", parent, error)
        else:
            self._effects.wake(parent, owner)

    def _request_step(self, execution_id: str, caller: Caller) -> Effect | None:
        """Look whether it could go on, and request the step if nothing was written since."""
        while (inspection := self._executions.inspect(execution_id, caller)).row.status == "paused":
            signals = partial(self._executions.signals, execution_id)
            children = partial(self._executions.children, execution_id)
            if not inspection.has_ready(self._commands.now, signals, children):
                raise Conflict("Cannot step execution: no node is ready")
            effect = self._commands.step(execution_id, inspection.row.writes, caller)
            if effect is not None:
                return effect
        return None

    def _answer(
        self, command: str, execution_id: str, caller: Caller, effect: Effect | None
    ) -> dict[str, Value]:
        if effect is not None:
            self._effects.tell(effect, command)
        shown = self._executions.get(execution_id, caller)
        if effect is None:
            raise Conflict(f"Cannot {command} execution in status {shown['status']}")
        return shown

    def _await_owners(self, effects: Sequence[Effect], until: float) -> None:
        """Wait until nothing begins any more in the processes that had these.

        One that can't be asked may still begin what it was about to begin, for a moment.
        """
        for effect in effects:
            owners = len(effect.owners)
            left_s = until - self._clock()
            if owners and not self._signals.await_let_go(effect.execution_id, owners, left_s):
                self._pause(max(0.0, until - self._clock()))
                return
