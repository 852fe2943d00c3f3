"""Sending signals to executions."""

from __future__ import annotations

from dataclasses import dataclass

from app.caller import Caller
from app.errors import Conflict, Fault, NotFound, TooManyRequests, ValidationFailed
from app.events.wire import to_json
from app.executions.creation import other_body
from app.executions.effects import Effects
from app.executions.service import ExecutionService
from app.nodes.signal import SIGNAL_NAME
from app.store.keys import RequestKey
from app.store.signals import MOST_KEPT, Full, Refused, Sent, SentBefore, SignalStore
from app.values.ports import Value


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal was taken: the node that it went to, None while it is kept.

    `is_replay` says that this request had been carried out before.
    """

    delivered: str | None
    is_replay: bool = False


class Signalling:
    """Sends signals. `max_value_bytes` is the largest payload, as JSON."""

    def __init__(
        self,
        executions: ExecutionService,
        signals: SignalStore,
        effects: Effects,
        *,
        max_value_bytes: int,
    ) -> None:
        self._executions = executions
        self._signals = signals
        self._effects = effects
        self._max_value_bytes = max_value_bytes

    def send(
        self,
        execution_id: str,
        caller: Caller,
        name: str,
        payload: Value,
        key: RequestKey | None = None,
    ) -> Signalled:
        """Send a signal: it is durable when this returns.

        Raises ValidationFailed, NotFound, Conflict where the execution is final,
        TooManyRequests where as many are kept as may be, StoreUnavailable.
        """
        text = self._checked(name, payload)
        self._executions.check(execution_id, caller)
        match self._signals.send(execution_id, name, text, key, caller):
            case Sent() as sent:
                self._tell(execution_id, sent)
                return Signalled(sent.node_id)
            case SentBefore(body_hash, node_id):
                if key is not None and key.body_hash != body_hash:
                    raise other_body()
                return Signalled(node_id, is_replay=True)
            case Refused(status):
                raise Conflict(f"Cannot signal execution in status {status}")
            case Full():
                raise TooManyRequests(f"{MOST_KEPT} signals are kept for the execution already")
            case None:
                raise NotFound(f"There is no execution '{execution_id}'")

    def _checked(self, name: str, payload: Value) -> str:
        faults = []
        if not SIGNAL_NAME.fullmatch(name):
            faults.append(Fault("/name", "must have 1 to 128 letters, digits, '_', '.' and '-'"))
        text = to_json(payload)
        if len(text) > self._max_value_bytes:
            message = f"has {len(text)} bytes of JSON; {self._max_value_bytes} are allowed"
            faults.append(Fault("", message))
        if faults:
            raise ValidationFailed(faults, "The signal is not valid.")
        return text.decode()

    def _tell(self, execution_id: str, sent: Sent) -> None:
        """Wake whoever goes on with the execution. PostgreSQL tells it, too, a little later."""
        self._effects.tell(sent.effect, "signal")
        if sent.is_runnable and not sent.effect.owners:
            self._effects.hint([execution_id])
