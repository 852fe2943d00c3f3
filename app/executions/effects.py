"""What a command did, told to whoever it concerns once it is committed: watchers, owners, workers.

All of it may be lost: PostgreSQL has the events, renewals tell owners, the sweep finds work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.events.wire import envelopes
from app.executions.service import Dispatcher
from app.store.records import Effect
from app.streams.protocol import Publisher, SignalBox


class Effects:
    """Tells what commands did; `on_stop` hears of each execution that was stopped."""

    def __init__(
        self,
        publisher: Publisher,
        signals: SignalBox,
        dispatcher: Dispatcher,
        on_stop: Callable[[], object] | None = None,
    ) -> None:
        self._on_stop = on_stop
        self._publisher = publisher
        self._signals = signals
        self._dispatcher = dispatcher

    def tell(self, effect: Effect, command: str) -> None:
        """Publish the events of an effect, and wake the processes that it concerns."""
        if effect.told is not None:
            first, at, events = effect.told.first_index, effect.told.at, effect.told.events
            lines = envelopes(effect.execution_id, first, at, events)
            self._publisher.publish(effect.execution_id, first, lines)
            if command == "stop" and self._on_stop is not None:
                self._on_stop()
        for owner in effect.owners:
            self._signals.push_command(effect.execution_id, command)
            self._signals.wake_worker(owner, effect.execution_id)

    def hint(self, execution_ids: Sequence[str]) -> None:
        """Tell workers that these may be claimed."""
        self._dispatcher.hint(execution_ids)

    def wake(self, execution_id: str, owner: str | None) -> None:
        """Something arrived for an execution: have its owner look, or any worker without one."""
        if owner is None:
            self._dispatcher.hint([execution_id])
        else:
            self._signals.wake_worker(owner, execution_id)
